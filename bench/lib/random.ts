/** A generator of numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
export function createRandom (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Durations with this median and 99th percentile, log-normal. */
export function logNormal (random: () => number, median: number, p99: number): () => number {
  const sigma = Math.log(p99 / median) / 2.3263 // the 99th percentile of the normal distribution
  // Box and Muller: a normal value from two uniform ones.
  return () => median * Math.exp(sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))
}

/** Times between arrivals that come independently, so many a unit of time. */
export const exponential = (random: () => number, rate: number) => (): number => -Math.log(1 - random()) / rate
