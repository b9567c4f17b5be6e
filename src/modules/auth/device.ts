import { HIDDEN } from '../../shared/person-name.ts'

/** Longer than the User-Agent of any browser. */
export const MAX_DEVICE = 256

const EVERY_HIDDEN = new RegExp(HIDDEN, 'gu')

/**
 * The name by which a client calls itself, in a form that can be shown: its User-Agent without invisible characters, one
 * blank where there were several, and cut to a length. `undefined` when nothing is left.
 */
export function deviceOf (userAgent: string | undefined): string | undefined {
  const shown = (userAgent ?? '').replace(/\s+/g, ' ').replace(EVERY_HIDDEN, '').trim()
  // By characters, so that none is cut in half.
  const device = [...shown].slice(0, MAX_DEVICE).join('').trim()
  return device === '' ? undefined : device
}
