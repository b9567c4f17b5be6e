/** The value below which a share of the values lie, interpolated. Of an even number, the median is between the middle two. */
export function quantile (values: readonly number[], share: number): number {
  if (values.length === 0) return NaN
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)]!
  return below + (sorted[Math.ceil(place)]! - below) * (place - Math.floor(place))
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** A figure that was not measured on this system is left out. */
export const optional = (value: number): number | undefined => Number.isNaN(value) ? undefined : value

/** A ratio to the base, with the quarters between which half of the rounds lie. */
export interface Ratio { ratio: number, low: number, high: number }

/** Compares two series of the same rounds. What slows a whole round down affects both values and so not their ratio. */
export function pairedRatio (values: readonly number[], base: readonly number[]): Ratio {
  const ratios = values.map((value, round) => value / base[round]!)
  return { ratio: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) }
}

/** A new array in random order (Fisher–Yates), so that no contender always runs after the same one. */
export function shuffled<T> (items: readonly T[], random: () => number = Math.random): T[] {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const held = result[last]!
    result[last] = result[other]!
    result[other] = held
  }
  return result
}
