import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { basePathOf } from './base-path.ts'
import { validationError } from './errors.ts'

// Lists that are read in pages: the schemas of their parameters and answers, their cursors, and the link to the next page.

/** The most items of a page. */
export const MAX_PAGE = 100
/** Items of a page when the request does not say. */
export const DEFAULT_PAGE = 20

const CURSOR = 'dXNlcnMgMjAyNi0xMS0yMg.c2lnbmF0dXJl'

/** The parameters of a list. */
export const Paging = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE, description: 'Maximum number of items in the page' })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512, pattern: '\\S', description: '`nextCursor` of the page before. Belongs to the list and the filter that it was made for', examples: [CURSOR] }))
}

export const NextCursor = Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: 512, pattern: '\\S', description: 'For the next page; `null` at the end of the list', examples: [CURSOR] })

/** The headers of a page's answer, for the list at a path. */
export const linkTo = (path: string) => ({
  link: Type.String({ maxLength: 4096, pattern: '^<', description: 'The next page, RFC 8288: `rel="next"`. Absent at the end of the list', examples: [`<${path}?limit=20&cursor=${CURSOR}>; rel="next"`] })
})

/** A page as a repository reads it. `next` is where the next page begins; `undefined` at the end. */
export interface Page<T> { items: T[], next?: string }

/** Makes and reads cursors. A cursor names its list, so that it is not used for another one or another filter. */
export function createCursors (keys: { seal (text: string): string, open (sealed: string): Promise<string | undefined> }) {
  return {
    /** The place in a cursor of this list. Throws VALIDATION_FAILED. */
    async placeIn (cursor: string | undefined, list: string): Promise<string | undefined> {
      if (cursor === undefined) return undefined
      const text = await keys.open(cursor)
      if (text?.startsWith(`${list} `) !== true) throw validationError([{ pointer: '#/cursor', detail: 'is not a cursor of this list and filter' }])
      return text.slice(list.length + 1)
    },

    /** A page as clients get it. */
    pageOf: <T, S>({ items, next }: Page<T>, list: string, present: (item: T) => S): { items: S[], nextCursor: string | null } =>
      ({ items: items.map(present), nextCursor: next === undefined ? null : keys.seal(`${list} ${next}`) })
  }
}

/** Sends a page, with a link to the next one under the same filter. */
export function sendPage (reply: FastifyReply, path: string, query: Record<string, string | number | undefined>, page: { nextCursor: string | null }) {
  if (page.nextCursor !== null) {
    const given = Object.entries({ ...query, cursor: page.nextCursor }).flatMap(([name, value]) => value === undefined ? [] : [[name, String(value)] as [string, string]])
    reply.header('link', `<${basePathOf(reply.server.config.PUBLIC_URL)}${path}?${new URLSearchParams(given).toString()}>; rel="next"`)
  }
  return reply.send(page)
}
