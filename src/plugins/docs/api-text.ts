import type { Version } from '../versions.ts'

/** The head of a document. */
export interface Info { title: string, version: string, description: string, contact: { name: string }, license: { name: string } }

/** The general texts of an app's documents, besides those of its routes. */
export interface ApiText {
  info: Record<Version, Info & { license: { identifier: string } }>
  /** of the document of events and messages */
  events: Info
  securitySchemes: Record<string, { type: 'http', scheme: string, bearerFormat?: string, description: string }>
}

/** A group of operations. */
export interface Tag { name: string, description: string }
