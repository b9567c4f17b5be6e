import type { Test } from 'tap'

/** A clock that moves when the test says so. */
export function holdTime (t: Test) {
  let now = 1000
  const own = performance.now
  performance.now = () => now
  t.teardown(() => { performance.now = own })
  return { pass: (ms: number) => { now += ms } }
}
