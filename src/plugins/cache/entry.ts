// An entry of the cache is text: `version@expiry:JSON`, with the expiry in milliseconds since the epoch. An entry without JSON
// means "deleted".

/** A record that can be cached: it contains its own version. */
export interface Versioned { version: number }

/** Maximum length of an entry. A user's record is under 1 KB; a larger entry was not written by this service and is not parsed. */
const MAX_ENTRY = 16_384

/** Milliseconds by which the clock of another instance may be ahead. */
export const CLOCK_SKEW = 5_000

/** How many versions a cached record may be ahead of the one being written: each version is a separate write to the table. */
const MAX_AHEAD = 100

/** The text of an entry. `undefined` is a deleted record. `ttl` in milliseconds. */
export function entryOf (version: number, value: Versioned | undefined, ttl: number): string {
  return `${version}@${Date.now() + ttl}:${value === undefined ? '' : JSON.stringify(value)}`
}

/**
 * Parses an entry; `undefined` when it is invalid or has expired. The version in front must equal the record's own. The
 * expiry is checked here too, because an entry that was planted in the store may never expire there.
 */
export function parseEntry (entry: string, maxTtl: number): { version: number, expiry: number, value: unknown } | undefined {
  if (entry.length > MAX_ENTRY) return undefined
  const prefix = /^(\d{1,15})@(\d{1,15}):/.exec(entry)
  if (prefix === null) return undefined
  const [version, expiry] = prefix.slice(1).map(Number) as [number, number]
  if (expiry <= Date.now() || expiry > Date.now() + maxTtl + CLOCK_SKEW) return undefined
  const json = entry.slice(prefix[0].length)
  if (json === '') return { version, expiry, value: undefined }
  try {
    const value = JSON.parse(json) as Versioned | null
    return value?.version === version ? { version, expiry, value } : undefined
  } catch {
    return undefined
  }
}

/** Whether an entry appears to be a later version of the record. */
export function isNewer (entry: string, version: number, maxTtl: number): boolean {
  const parsed = parseEntry(entry, maxTtl)
  return parsed !== undefined && parsed.version > version && parsed.version - version <= MAX_AHEAD
}
