import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DOCUMENTS_DIR } from '../../scripts/client/document.ts'

interface Media { schema: object, example?: unknown, examples?: unknown }
interface Header { schema: { type: string } }
interface Response { description: string, headers?: Record<string, Header>, content?: Record<string, Media> }
interface Operation { operationId: string, summary: string, description: string, tags: string[], security: object[], deprecated?: boolean, responses: Record<string, Response>, requestBody?: { content: Record<string, Media> } }
export interface Document { servers: { url: string }[], info: Record<string, unknown>, paths: Record<string, Record<string, Operation>>, components: Record<string, Record<string, object>> }

const committed = async (version: string) => JSON.parse(await readFile(join(DOCUMENTS_DIR, `${version}.json`), 'utf8')) as Document
export const documents = { v1: await committed('v1'), v2: await committed('v2') }
export const operations = Object.values(documents).flatMap(document =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ document, path, method, operation }))))

/** What a `$ref` into a document points at; anything else as it is. */
export function deref<T> (document: Document, value: T): T {
  const ref = (value as { $ref?: string }).$ref
  return ref === undefined ? value : ref.slice(2).split('/').reduce((node, key) => (node as Record<string, unknown>)[key], document as unknown) as T
}

/** The names of a response's headers, in lower case. */
export const namesOf = ({ headers = {} }: { headers?: object }) => Object.keys(headers).map(name => name.toLowerCase())
