import { deflateSync } from 'node:zlib'

/** The smallest valid pictures of each type, with extra bytes inside to make them as large as wanted. */

const CRC = Uint32Array.from({ length: 256 }, (_, n) => Array.from({ length: 8 }).reduce<number>(c => (c & 1) === 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1, n) >>> 0)
const crc = (bytes: Buffer) => (bytes.reduce((c, byte) => CRC[(c ^ byte) & 0xff]! ^ (c >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0

function chunk (type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc(body))
  return Buffer.concat([length, body, sum])
}

/** One pixel, with a comment. */
export function png (comment = 'x'): Buffer {
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', Buffer.from('00000001000000010800000000', 'hex')),
    chunk('tEXt', Buffer.from(`Comment\0${comment}`, 'latin1')),
    chunk('IDAT', deflateSync(Buffer.from([0, 0]))),
    chunk('IEND', Buffer.alloc(0))
  ])
}

/** The markers that the check looks at, and a comment. */
export const jpeg = (): Buffer => Buffer.from('ffd8ffe000104a46494600010100000100010000fffe000478 79ffd9'.replaceAll(' ', ''), 'hex')

/** One pixel, lossless. */
export const webp = (): Buffer => Buffer.from('524946461a000000574542505650384c0d0000002f00000010071011118888fe0700', 'hex')
