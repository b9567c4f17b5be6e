import { readFileSync, writeFileSync } from 'node:fs'
import { parseTemplate } from '../local/template.ts'
import { replaceBetween, type Place } from './between.ts'
import { deref, type Document, type Schema } from './client/document.ts'

/** A model of API Gateway, in the part of JSON Schema draft 4 that every validator reads alike. */
export interface Model {
  type?: string
  required?: string[]
  properties?: Record<string, Model>
}

const TEMPLATE = new URL('../template.yaml', import.meta.url)
const MODELS: Place = { path: 'template.yaml', begin: '          # npm run openapi writes these models from docs/openapi.\n', end: '          # The end of the models.\n' }

/**
 * What of a schema the gateway checks: that a body is an object, that no required property is missing, and the type of each. All
 * other rules stay with the app. What its user can get wrong gets an answer that names the field, and the log of the gateway,
 * which quotes what a rule refuses, quotes no value.
 */
export function modelOf (document: Document, schema: Schema): Model {
  const { type, required = [], properties = {}, oneOf, anyOf } = deref(document, schema)
  const options = oneOf ?? anyOf
  if (options !== undefined) return unionOf(options.map(option => ({ model: modelOf(document, option), isClosed: deref(document, option)['additionalProperties'] === false })))
  // An integer may be written 1.0, which not every validator takes for one. Several types are not draft 4 in an OpenAPI document.
  if (type === 'integer') return { type: 'number' }
  if (typeof type !== 'string') return {}
  if (type !== 'object') return { type }
  return { type, ...(required.length > 0 ? { required } : {}), properties: Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, modelOf(document, property)])) }
}

/** What all alternatives of a choice have in common. */
function unionOf (options: { model: Model, isClosed: boolean }[]): Model {
  const models = options.map(({ model }) => model)
  if (new Set(models.map(({ type }) => type)).size > 1) return {}
  if (models[0]?.type !== 'object') return models[0] ?? {}
  const required = (models[0].required ?? []).filter(name => models.every(model => model.required?.includes(name)))
  const names = new Set(models.flatMap(({ properties = {} }) => Object.keys(properties)))
  const properties = [...names].map(name => {
    // An alternative that lets other properties pass says nothing about this one.
    if (options.some(({ model, isClosed }) => model.properties?.[name] === undefined && !isClosed)) return [name, {}] as const
    const said = models.map(({ properties }) => properties?.[name]).filter(property => property !== undefined)
    return [name, new Set(said.map(property => JSON.stringify(property))).size === 1 ? said[0]! : {}] as const
  })
  return { type: 'object', ...(required.length > 0 ? { required } : {}), properties: Object.fromEntries(properties) }
}

/** A name of a model: letters and digits, and different for each version. */
const modelName = (version: string, schema: string) => `${schema.replace(/V\d$/, '')}${version.toUpperCase()}`

/** The POST operations that the gateway knows by their path, and the schema of each body. */
export function modelledOperations (template: string, documents: Record<string, Document>): { path: string, name: string, document: Document, schema: Schema }[] {
  const { Resources } = parseTemplate(template) as unknown as { Resources: { Api: { Properties: { DefinitionBody: { paths: Record<string, Record<string, unknown>> } } } } }
  return Object.entries(Resources.Api.Properties.DefinitionBody.paths).filter(([, methods]) => 'post' in methods).map(([path]) => {
    const version = path.split('/')[1]!
    const document = documents[version]
    const schema = document?.paths[path]?.['post']?.requestBody?.content['application/json']?.schema
    const name = schema?.$ref?.split('/').at(-1)
    if (document === undefined || schema === undefined || name === undefined) throw new Error(`template.yaml lists POST ${path}, and the document of ${version} has no named schema of its body`)
    return { path, name: modelName(version, name), document, schema }
  })
}

const flow = (value: unknown): string => Array.isArray(value)
  ? `[${value.join(', ')}]`
  : typeof value === 'object' && value !== null
    ? Object.keys(value).length === 0 ? '{}' : `{ ${Object.entries(value).map(([key, item]) => `${key}: ${flow(item)}`).join(', ')} }`
    : String(value)

/** The template with the models of its operations, made from the documents. */
export function withModels (template: string, documents: Record<string, Document>): string {
  const models = new Map(modelledOperations(template, documents).map(({ name, document, schema }) => [name, modelOf(document, schema)]))
  const lines = [...models].sort(([a], [b]) => a < b ? -1 : 1).map(([name, model]) => `            ${name}: ${flow(model)}\n`)
  return replaceBetween(template, MODELS, `          schemas:\n${lines.join('')}`)
}

/** Writes the models into template.yaml. Returns whether they have changed. */
export function writeModels (documents: Record<string, string>): boolean {
  const template = readFileSync(TEMPLATE, 'utf8')
  const changed = withModels(template, Object.fromEntries(['v1', 'v2'].map(version => [version, JSON.parse(documents[`openapi/${version}.json`]!) as Document])))
  if (changed === template) return false
  writeFileSync(TEMPLATE, changed)
  return true
}
