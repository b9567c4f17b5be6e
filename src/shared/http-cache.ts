import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'

const TAG = '(?:W/)?"[!#-~\\x80-\\xff]*"'
const SEPARATOR = '[ \\t]*(?:,[ \\t]*)+'

/** A list of entity tags or `*`, RFC 9110 §8.8.3. An empty element of a list counts as nothing, §5.6.1. */
const EntityTags = (description: string) => Type.Optional(Type.String({
  maxLength: 1024,
  pattern: `^(?:\\*|(?:,[ \\t]*)*${TAG}(?:${SEPARATOR}${TAG})*(?:[ \\t]*,)*)$`,
  'x-expected': '* or a list of entity tags in double quotes',
  description,
  examples: ['"3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11.3"']
}))

/** The headers of a request that changes a resource only if it is in an expected state. */
export const ChangeHeaders = Type.Object({
  'if-match': EntityTags('Only change the version with this ETag; `*` stands for every version'),
  'if-none-match': EntityTags('Do not change a version with one of these ETags')
})

/** Whether a resource with this ETag is in the state that a request expects. */
export type Precondition = (etag: string) => boolean

const tagsIn = (header: string): string[] => header.match(/(?:W\/)?"[^"]*"/g) ?? []
const isAny = (header: string) => header.trim() === '*'
const opaque = (tag: string) => tag.replace(/^W\//, '')

/** Whether If-None-Match contains the given ETag; weak comparison, RFC 9110 §13.1.2. */
export function matchesEtag (ifNoneMatch: string | undefined, etag: string): boolean {
  return ifNoneMatch !== undefined && (isAny(ifNoneMatch) || tagsIn(ifNoneMatch).some(tag => opaque(tag) === opaque(etag)))
}

/** The precondition in the headers of a change, or `undefined` for none. If-Match compares strongly, RFC 9110 §13.1.1: weak tags never match. */
export function preconditionIn ({ 'if-match': ifMatch, 'if-none-match': ifNoneMatch }: { 'if-match'?: string, 'if-none-match'?: string }): Precondition | undefined {
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  return etag => (ifMatch === undefined || isAny(ifMatch) || tagsIn(ifMatch).includes(etag)) && !matchesEtag(ifNoneMatch, etag)
}

/** Adds a request header to `Vary` and keeps those that are in it already (CORS adds `Origin`). */
export function addVary (reply: FastifyReply, field: string): void {
  const held = reply.getHeader('vary')
  if (held === undefined) {
    reply.header('vary', field)
    return
  }
  const named = [held].flat().join(', ')
  if (named.split(',').some(name => name.trim().toLowerCase() === field.toLowerCase())) return
  reply.header('vary', `${named}, ${field}`)
}
