import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** The engine's binary for this machine, where there is one. */
export function dynoxideBinary (): string | undefined {
  try {
    return join(dirname(require.resolve(`@dynoxide/${process.platform}-${process.arch}/package.json`)), 'dynoxide')
  } catch {
    return undefined
  }
}

/**
 * Where the engine listens so that no web page finds it: dynoxide answers every page, and by every name. One of the 16
 * million addresses of the loopback interface; a page would have to try them all, and each port of each. DynamoDB Local
 * listens on every address and cannot be hidden.
 */
export function hiddenHost (): string {
  if (dynoxideBinary() === undefined) return '127.0.0.1'
  const [a, b, c] = randomBytes(3)
  return `127.${a}.${b}.${Math.max(2, c! % 255)}`
}
