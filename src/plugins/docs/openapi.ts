import type { Schema } from './readable.ts'

// The parts of an OpenAPI document that this folder uses.

export interface Reference { $ref: string }
/** A body of a request or a response. */
export interface Media { schema: Schema, example?: unknown, examples?: Record<string, { value: unknown }> }
export interface Response { description: string, headers?: Record<string, object>, content?: Record<string, Media> }
export interface Operation {
  operationId?: string
  tags?: string[]
  security?: object[]
  deprecated?: boolean
  parameters?: { required?: boolean, schema: Schema, example?: unknown }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, Response | Reference>
}

export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema>, [kind: string]: Record<string, object> }
}
