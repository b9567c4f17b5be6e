import type { OnLoadArgs, Plugin } from 'esbuild'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT } from './bundle.ts'

const TYPEBOX = dirname(fileURLToPath(import.meta.resolve('@sinclair/typebox')))

/** What the sources use of an object of TypeBox: the bundler itself cannot leave out parts of an object. */
function used (object: 'Type' | 'Value'): string {
  const sources = globSync('src/**/*.ts', { cwd: ROOT }).map(file => readFileSync(join(ROOT, file), 'utf8'))
  const names = sources.flatMap(text => [...text.matchAll(new RegExp(`\\b${object}\\.([A-Z]\\w*)`, 'g'))].map(([, name]) => name!))
  return [...new Set(names)].sort().join(', ')
}

/** Loads a built-in when one of its functions is used. */
const lazyBuiltin = (name: string) => `module.exports = new Proxy({}, { get: (_, key) => process.getBuiltinModule('${name}')[key] })`

interface Smaller {
  /** what is imported */
  name: RegExp
  /** only by these files */
  by?: RegExp
  contents: () => string
}

/**
 * Packages, and parts of them, of which the function needs little, with what takes their place. The shares are of the CPU of
 * a cold start with a code cache, to the first `POST /v2/users`, in 13 to 15 interleaved rounds. See docs/adr/0143-the-artifact-has-smaller-packages.md.
 */
const SMALLER: Record<string, Smaller> = {
  // 2.3 %. Fastify checks the versions of its plugins. The build has started the app with the same packages, see compile-schemas.ts.
  semver: { name: /^semver$/, contents: () => 'exports.satisfies = () => true\nexports.gt = () => false\nexports.coerce = version => version' },

  // 1.7 %. For the package's own keys of IPv6 networks; the service has another `keyGenerator`.
  'ip-address': { name: /^ip-address$/, by: /@fastify.rate-limit/, contents: () => 'exports.Address6 = class { constructor () { throw new Error("ip-address is not part of the Lambda artifact") } }' },

  // 2.4 %, with the next. fast-jwt reads the algorithm from a key. The service has Ed25519 keys only, which Node can tell.
  'asn1.js': {
    name: /^asn1\.js$/,
    by: /fast-jwt/,
    contents: () => `const { createPrivateKey, createPublicKey } = require('node:crypto')
const reader = read => ({
  decode (pem) {
    const { asymmetricKeyType } = read(pem)
    if (asymmetricKeyType !== 'ed25519') throw new Error('Keys of the type ' + asymmetricKeyType + ' are not supported in the Lambda artifact')
    return { algorithm: { algorithm: [1, 3, 101, 112] } }
  }
})
exports.define = name => reader(name === 'PublicKey' ? createPublicKey : createPrivateKey)`
  },
  // Signatures of ECDSA.
  'ecdsa-sig-formatter': { name: /^ecdsa-sig-formatter$/, by: /fast-jwt/, contents: () => 'exports.joseToDer = exports.derToJose = () => { throw new Error("ecdsa-sig-formatter is not part of the Lambda artifact") }' },

  // 1.6 %, with the next. Only for servers that listen.
  http2: { name: /^(?:node:)?http2$/, by: /fastify.lib/, contents: () => lazyBuiltin('http2') },
  dns: { name: /^(?:node:)?dns$/, by: /fastify.lib/, contents: () => lazyBuiltin('dns') },

  // 0.8 %, and 19 KiB of the zip. TypeBox has a builder of each type and many operations on values. These are the ones in use.
  typebox: { name: /^@sinclair\/typebox$/, contents: () => `export { FormatRegistry } from '${TYPEBOX}/type/registry/index.mjs'\nexport * as Type from 'typebox:builders'` },
  'typebox:builders': { name: /^typebox:builders$/, contents: () => `export { ${used('Type')} } from '${TYPEBOX}/type/type/type.mjs'` },
  'typebox:value': { name: /^@sinclair\/typebox\/value$/, contents: () => "export * as Value from 'typebox:operations'" },
  'typebox:operations': { name: /^typebox:operations$/, contents: () => `export { ${used('Value')} } from '${TYPEBOX}/value/value/value.mjs'` },

  // 0.7 %, and 1.4 % of the memory. Whether a body is a web stream, without loading web streams to see it. Node’s are not.
  'stream-types': { name: /\/stream-type-check$/, by: /smithy.core/, contents: () => "const isA = name => value => value?.constructor?.name === name\nexport const isReadableStream = isA('ReadableStream')\nexport const isBlob = isA('Blob')" },
  // 1 %, as much of the memory, and 18 KiB of the zip. No operation in use has an event stream. The client of S3 names two of
  // these when it is loaded and made, so only their use may fail.
  'event-streams': {
    name: /^@smithy\/core\/event-streams$/,
    contents: () => `const refuse = () => { throw new Error('event streams are not part of the Lambda artifact') }
export const eventStreamSerdeProvider = refuse
export const resolveEventStreamSerdeConfig = input => input
export class EventStreamSerde { constructor () { refuse() } }`
  },
  // 1.4 % of the memory, with the next. Transports of pino, of which the service has none: their threads would lose lines when the
  // process is frozen.
  'thread-stream': { name: /^thread-stream$/, by: /pino/, contents: () => 'module.exports = class { constructor () { throw new Error("thread-stream is not part of the Lambda artifact") } }' },
  worker_threads: { name: /^(?:node:)?worker_threads$/, by: /pino/, contents: () => 'exports.isMainThread = true' },

  // 1.3 %. The SDK reads each of its settings from the environment, then from profile files, of which Lambda has none: each failed
  // lookup makes two errors with a stack.
  'config-loader': {
    name: /\/configLoader$/,
    by: /smithy.core/,
    contents: () => `export const loadConfig = ({ environmentVariableSelector, default: standard }, { signingName, logger } = {}) => {
  let found
  const find = async () => {
    let value
    try { value = environmentVariableSelector(process.env, { signingName, logger }) } catch {} // as in the SDK, a wrong value does not count
    return value ?? (typeof standard === 'function' ? await standard() : standard)
  }
  return () => (found ??= find())
}`
  }
}

/** Puts the replacements into a bundle. */
export const smallerPackages: Plugin = {
  name: 'smaller-packages',
  setup ({ onResolve, onLoad }) {
    for (const [path, { name, by = /.*/ }] of Object.entries(SMALLER)) {
      onResolve({ filter: name }, ({ importer }) => by.test(importer) ? { path, namespace: 'smaller', sideEffects: false } : undefined)
    }
    onLoad({ filter: /.*/, namespace: 'smaller' }, ({ path }: OnLoadArgs) => ({ contents: SMALLER[path]!.contents(), resolveDir: ROOT }))
  }
}
