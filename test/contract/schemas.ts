import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Document, Schema } from '../../scripts/client/document.ts'

/** Refuses properties that a schema does not name, so that an answer cannot say more than its document. */
function closed (node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closed)
  if (typeof node !== 'object' || node === null) return node
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]))
  return copy['type'] === 'object' && copy['properties'] !== undefined ? { additionalProperties: false, ...copy } : copy
}

const ajv = new Ajv2020({ allErrors: true, strict: false })
addFormats.default(ajv)
// Formats of the service's own: what they accept is tested with it.
for (const name of ['idn-email', 'person-name', 'language-tag']) ajv.addFormat(name, true)
const ids = new Map<Document, string>()
const validators = new Map<string, ValidateFunction>()

/** Checks values against a schema of a document; properties without a name in it are refused. */
export function validatorOf (document: Document, schema: Schema): ValidateFunction {
  let id = ids.get(document)
  if (id === undefined) {
    id = `document${ids.size}`
    ids.set(document, id)
    ajv.addSchema({ $id: id, components: { schemas: closed(document.components['schemas']) } })
  }
  const text = JSON.stringify(closed(schema)).replaceAll('"#/', `"${id}#/`)
  let validate = validators.get(text)
  if (validate === undefined) {
    validate = ajv.compile(JSON.parse(text) as object)
    validators.set(text, validate)
  }
  return validate
}
