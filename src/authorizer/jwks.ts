import { createPublicKey } from 'node:crypto'

/** Public keys of a service, by their `kid`. */
export interface KeySource {
  /** The key in PEM; `undefined` when the service does not publish it. Rejects when that is unknown. */
  find (kid: string): Promise<string | undefined>
}

const SECOND = 1000

/** Milliseconds after which the set is fetched again in the background, so that retired keys leave it. */
const REFRESH_AGE = 45 * SECOND
/** Milliseconds after which a token waits for that fetch: the function may have been frozen since. */
const WAIT_AGE = 60 * SECOND
/** Milliseconds for which a key is used while the set cannot be fetched. Rotations of keys are at least an hour apart, unless one has leaked. */
const MAX_AGE = 3600 * SECOND
/** Milliseconds for an answer. */
const TIMEOUT = 2 * SECOND
/** Milliseconds between two tries in the background. */
const RETRY_AFTER = 30 * SECOND
/** Fetches that unknown keys may cause: a burst of this many, then one a second. Forged values must not cause a request each. */
const FETCHES = 20
/** Characters of a set: ours has two keys of about 150. */
const MAX_SET = 16_384

/** The signing keys in a set. Other keys are left out. @throws when it is no set, or has no signing key */
function keysIn (text: string): Map<string, string> {
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('it has no list of keys')
  const found = new Map<string, string>()
  for (const key of keys as (Record<string, unknown> | null)[]) {
    if (key === null || typeof key !== 'object' || typeof key['kid'] !== 'string' || key['use'] !== 'sig' || key['alg'] !== 'EdDSA' || key['crv'] !== 'Ed25519') continue
    found.set(key['kid'], createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: String(key['x']) }, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) as string)
  }
  if (found.size === 0) throw new Error('it has no signing key')
  return found
}

/** The JSON Web Key Set (RFC 7517) at a URL, cached. The first fetch starts at once. */
export function createJwks (url: string, { now = Date.now }: { now?: () => number } = {}): KeySource {
  let keys = new Map<string, string>()
  let fetchedAt = -Infinity
  let triedAt = -Infinity
  let running: Promise<void> | undefined

  /** Fetches the set. Concurrent callers share one fetch. */
  function fetchSet (): Promise<void> {
    running ??= (async () => {
      const at = now()
      triedAt = at
      try {
        const answer = await fetch(url, { headers: { accept: 'application/json' }, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT) })
        if (answer.status !== 200) throw new Error(`the answer is ${answer.status}`)
        const text = await answer.text()
        if (text.length > MAX_SET) throw new Error('the answer is too long')
        keys = keysIn(text)
        fetchedAt = at
      } catch (error) {
        throw new Error(`The signing keys cannot be fetched from ${url}: ${(error as Error).message}`)
      } finally {
        running = undefined
      }
    })()
    return running
  }

  let allowance = FETCHES
  let refilledAt = now()
  function mayFetch (): boolean {
    allowance = Math.min(FETCHES, allowance + Math.max(0, now() - refilledAt) / SECOND)
    refilledAt = now()
    if (allowance < 1) return false
    allowance--
    return true
  }

  // A failure is reported with the first token, not as a failed start of the function.
  fetchSet().catch(() => {})

  return {
    async find (kid) {
      const age = now() - fetchedAt
      if (keys.has(kid) && age <= MAX_AGE) {
        const isDue = age > REFRESH_AGE && now() - triedAt > RETRY_AFTER
        // While the service does not answer, a token every half minute waits for it.
        const fetched = isDue ? fetchSet().catch(() => {}) : running?.catch(() => {})
        if (age > WAIT_AGE) await fetched
        return keys.get(kid)
      }
      // A fetch that runs may find the key, or may have started before the rotation that introduced it.
      if (running !== undefined) await running.catch(() => {})
      if (keys.has(kid) && now() - fetchedAt <= MAX_AGE) return keys.get(kid)
      // Over the limit the key counts as unknown, unless no set is known that could say so.
      if (mayFetch() || now() - fetchedAt > MAX_AGE) await fetchSet()
      return keys.get(kid)
    }
  }
}
