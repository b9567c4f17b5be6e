import type { ImageType } from './schemas.ts'

// https://www.w3.org/TR/png-3/#5PNG-file-signature, ITU-T T.81 §B.1.1.3, https://www.rfc-editor.org/rfc/rfc9649#section-2.3

/** Bytes to read from the start and from the end of a file. */
export const HEAD_BYTES = 32
export const TAIL_BYTES = 12

/** A part of a file that was read. */
export interface Sample {
  head: Uint8Array
  tail: Uint8Array
  /** bytes of the whole file */
  size: number
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex') // with the length and the name of the first chunk
const IEND = Buffer.from('0000000049454e44ae426082', 'hex')
const SOI = Buffer.from('ffd8ff', 'hex')
const EOI = Buffer.from('ffd9', 'hex')

const startsWith = (bytes: Buffer, start: Buffer) => bytes.subarray(0, start.length).equals(start)
const endsWith = (bytes: Buffer, end: Buffer) => bytes.length >= end.length && bytes.subarray(-end.length).equals(end)

/**
 * The type of a picture by its first and last bytes; `undefined` when it is none of these types. A file that is cut off, or
 * that has something else after the picture, is none.
 */
export function imageTypeOf (sample: Sample): ImageType | undefined {
  const head = Buffer.from(sample.head)
  const tail = Buffer.from(sample.tail)
  if (startsWith(head, SIGNATURE) && endsWith(tail, IEND)) return 'image/png'
  if (startsWith(head, SOI) && endsWith(tail, EOI)) return 'image/jpeg'
  const isWebp = head.length >= 16 && head.toString('latin1', 0, 4) === 'RIFF' && /^WEBPVP8[ LX]$/.test(head.toString('latin1', 8, 16))
  // The length in the header is that of everything after it.
  return isWebp && head.readUInt32LE(4) === sample.size - 8 ? 'image/webp' : undefined
}
