const RTL = '\\p{Script=Arabic}\\p{Script=Hebrew}\\p{Script=Syriac}\\p{Script=Thaana}\\p{Script=Nko}\\p{Script=Adlam}'
const HAS_RTL = new RegExp(`[${RTL}]`, 'u')
const ONLY_RTL = new RegExp(`^[${RTL}\\p{M}\\p{Z}]+$`, 'u')

/** FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE: the text between them has its own direction and does not affect the text around it. */
const [FSI, PDI] = ['\u2068', '\u2069']

export type Direction = 'ltr' | 'rtl'

/** A value for a sentence of this direction, isolated if it could be shown in the wrong order there. */
export function isolate (value: string, direction: Direction): string {
  const isSafe = direction === 'ltr' ? !HAS_RTL.test(value) : ONLY_RTL.test(value)
  return isSafe || value === '' ? value : FSI + value + PDI
}
