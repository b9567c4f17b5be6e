import type { FastifyReply } from 'fastify'

/** Whether If-None-Match contains the given ETag; weak comparison, RFC 9110 §13.1.2. */
export function matchesEtag (ifNoneMatch: string | undefined, etag: string): boolean {
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '')
  return ifNoneMatch !== undefined && (ifNoneMatch.trim() === '*' || ifNoneMatch.split(',').some(tag => opaque(tag) === opaque(etag)))
}

/** Adds a request header to `Vary` and keeps those that are in it already (CORS adds `Origin`). */
export function addVary (reply: FastifyReply, field: string): void {
  const named = [reply.getHeader('vary') ?? []].flat().join(', ')
  if (named.split(',').some(name => name.trim().toLowerCase() === field.toLowerCase())) return
  reply.header('vary', named === '' ? field : `${named}, ${field}`)
}
