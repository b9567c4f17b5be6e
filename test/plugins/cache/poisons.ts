/** A record as a cache holds it. */
interface Cached { id: string, name: string, version: number }

/** The expiry of an entry, in milliseconds since the epoch. */
export const inSeconds = (seconds: number): number => Date.now() + seconds * 1000

/** Entries of a cache that this service has not written, by the id of the record that they stand for; `good` is that record. */
export function poisonsOf (good: (id: string) => Cached): ((id: string) => string)[] {
  const { version: now } = good('any')
  const next = now + 1
  const one = `${now}@${inSeconds(50)}:`
  const mallory = (id: string, version = now) => JSON.stringify({ ...good(id), name: 'Mallory', version })
  return [
    () => '', () => ':', () => `${one}{`, () => 'hello', () => '12345', () => `-${one}{}`, () => `${one}null`, () => `${one}[]`, () => `${one}"text"`, () => `${one}7`,
    () => `${one}${JSON.stringify(good('another-id'))}`,
    () => `${one}${'x'.repeat(1_000_000)}`,
    () => `${one}{"__proto__":{"name":"Mallory","version":${now}}}`,
    id => `${one}{"id":"${id}","__proto__":{"name":"Mallory","version":${now}}}`,
    id => `${one}{"id":"${id}","name":7,"version":${now}}`,
    id => `${one}${JSON.stringify(good(id))}trailing`,
    id => `999999999999999999@${inSeconds(50)}:${mallory(id)}`,
    id => `NaN@${inSeconds(50)}:${mallory(id)}`,
    () => '\u0000\uFFFF',
    () => `${one}${'['.repeat(10_000)}`,
    // The version in front is not the record's, or the entry lives longer than any of ours, or has expired.
    id => `${next}@${inSeconds(50)}:${mallory(id, now)}`,
    id => `${now}@${inSeconds(50)}:${mallory(id, next)}`,
    id => `${now}@${inSeconds(3600)}:${mallory(id)}`,
    id => `${now}@999999999999999:${mallory(id)}`,
    id => `${now}@${inSeconds(-1)}:${mallory(id)}`,
    id => `${now}:${mallory(id)}`,
    () => `${next}@${inSeconds(3600)}:`,
    () => `${next}:`
  ]
}
