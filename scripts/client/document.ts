import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** The folder of the committed documents. */
export const DOCUMENTS_DIR = fileURLToPath(new URL('../../docs/openapi/', import.meta.url))

export interface Schema {
  $ref?: string
  type?: string
  const?: unknown
  enum?: unknown[]
  examples?: unknown[]
  oneOf?: Schema[]
  anyOf?: Schema[]
  required?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  [keyword: string]: unknown
}

export interface Parameter { name: string, in: 'path' | 'query' | 'header', required?: boolean, description?: string, schema: Schema, example?: unknown }
interface Example { value: unknown }
export interface Media { schema: Schema, example?: unknown, examples?: Record<string, Example> }
export interface Response { description: string, headers?: Record<string, object>, content?: Record<string, Media> }

interface RawOperation {
  operationId: string
  summary: string
  description?: string
  tags: string[]
  security: object[]
  parameters?: (Parameter | { $ref: string })[]
  requestBody?: { required?: boolean, content: Record<string, Media> }
  responses: Record<string, Response | { $ref: string }>
}

export interface Document {
  info: { title: string }
  tags: { name: string, description: string }[]
  paths: Record<string, Record<string, RawOperation>>
  components: Record<string, Record<string, object>>
}

export interface Operation {
  document: Document
  id: string
  method: string
  path: string
  tag: string
  summary: string
  description: string | undefined
  isSecured: boolean
  parameters: Parameter[]
  body: (Media & { contentType: string }) | undefined
  responses: Record<string, Response>
  raw: RawOperation & Record<string, unknown>
}

/** What a `$ref` into a document points at; anything else as it is. */
export function deref<T> (document: Document, value: T): T {
  const ref = (value as { $ref?: string }).$ref
  if (ref === undefined) return value
  const found = ref.slice(2).split('/').reduce((node, key) => (node as Record<string, unknown>)[key], document as unknown)
  return deref(document, found as T)
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

/** The operations of a document, in its order. */
export function operationsOf (document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) => METHODS.filter(method => method in methods).map(method => {
    const raw = methods[method] as Operation['raw']
    const parameters = raw.parameters ?? []
    const [contentType, media] = Object.entries(raw.requestBody?.content ?? {})[0] ?? []
    return {
      document,
      id: raw.operationId,
      method: method.toUpperCase(),
      path,
      tag: raw.tags[0]!,
      summary: raw.summary,
      description: raw.description,
      isSecured: raw.security.length > 0,
      parameters: parameters.map(parameter => deref(document, parameter as Parameter)),
      body: media === undefined || contentType === undefined ? undefined : { ...media, contentType },
      responses: Object.fromEntries(Object.entries(raw.responses).map(([status, response]) => [status, deref(document, response as Response)])),
      raw
    }
  }))
}

export async function readDocument (version: 'v1' | 'v2'): Promise<Document> {
  return JSON.parse(await readFile(`${DOCUMENTS_DIR}${version}.json`, 'utf8')) as Document
}

/** Whether the operation accepts an `Idempotency-Key`. */
export const isKeyed = ({ parameters }: Operation) => parameters.some(parameter => parameter.in === 'header' && parameter.name.toLowerCase() === 'idempotency-key')
