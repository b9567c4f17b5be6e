// What the verbs print, and how they end.

/** Exit codes of an import whose rows were not all accepted, and of a verb that was interrupted. */
export const REFUSED = 3
export const INTERRUPTED = 130

export const number = (value: number) => value.toLocaleString('en-US')

// Names are what users typed: nothing in them may control the terminal.
export const printable = (text: string) => text.replace(/[\p{Cc}\p{Cf}]/gu, '?')
