// Colours are written #rrggbb.

const WHITE = '#ffffff'
const BLACK = '#000000'

const channels = (colour: string): number[] => [1, 3, 5].map(at => Number.parseInt(colour.slice(at, at + 2), 16))

/** Relative luminance, from 0 for black to 1 for white (WCAG 2.2). */
function luminance (colour: string): number {
  const [red, green, blue] = channels(colour).map(channel => {
    const share = channel / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/** Contrast of two colours, from 1 to 21 (WCAG 2.2). Text needs 4.5, the edge of a button 3. */
export function contrast (one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

/** Black or white, whichever is easier to read on a background. Its contrast is at least 4.58. */
export const textOn = (background: string): string => contrast(WHITE, background) >= contrast(BLACK, background) ? WHITE : BLACK

function mix (colour: string, other: string, share: number): string {
  const others = channels(other)
  return `#${channels(colour).map((channel, i) => Math.round(channel + (others[i]! - channel) * share).toString(16).padStart(2, '0')).join('')}`
}

/** The colour itself, or the nearest lighter or darker one that has this contrast with a background. */
export function visibleOn (colour: string, background: string, least: number): string {
  const towards = textOn(background)
  for (let share = 0; share < 1; share += 0.02) {
    const mixed = mix(colour, towards, share)
    if (contrast(mixed, background) >= least) return mixed
  }
  return towards
}
