import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** The engine's binary for this machine; `undefined` if there is none. */
export function dynoxideBinary (): string | undefined {
  try {
    return join(dirname(require.resolve(`@dynoxide/${process.platform}-${process.arch}/package.json`)), 'dynoxide')
  } catch {
    return undefined
  }
}

/**
 * A loopback address for the engine that web pages cannot find: dynoxide answers requests of every origin and host name.
 * It is one of 16 million loopback addresses; a page would have to try all of them, and every port. DynamoDB Local listens
 * on every address and cannot be hidden.
 */
export function hiddenHost (): string {
  if (dynoxideBinary() === undefined) return '127.0.0.1'
  const [a, b, c] = randomBytes(3)
  return `127.${a}.${b}.${Math.max(2, c! % 255)}`
}
