import t from 'tap'
import { HEAD_BYTES, imageTypeOf, TAIL_BYTES } from '../../../src/modules/uploads/images.ts'
import { jpeg, png, webp } from './pictures.ts'

const typeOf = (file: Buffer, size = file.length) => imageTypeOf({ head: file.subarray(0, HEAD_BYTES), tail: file.subarray(-TAIL_BYTES), size })
const riff = (type: string, size: number) => {
  const head = Buffer.from(`RIFF    WEBP${type}`, 'latin1')
  head.writeUInt32LE(size, 4)
  return head
}

t.test('a picture is known by its first and its last bytes', async t => {
  for (const [file, type] of [[png(), 'image/png'], [png('a comment'), 'image/png'], [jpeg(), 'image/jpeg'], [webp(), 'image/webp']] as const) t.equal(typeOf(file), type)
  for (const kind of ['VP8 ', 'VP8L', 'VP8X']) t.equal(typeOf(riff(kind, 8)), 'image/webp', `${kind}, as short as can be`)
  t.equal(imageTypeOf({ head: Buffer.from('ffd8ffe0', 'hex'), tail: Buffer.from('ffd9', 'hex'), size: 6 }), 'image/jpeg')
})

t.test('what begins or ends otherwise is none', async t => {
  for (const [name, file] of Object.entries({ png: png(), jpeg: jpeg() })) {
    for (const [why, bytes] of Object.entries({
      'another start': Buffer.concat([Buffer.from([0]), file.subarray(1)]),
      'something before it': Buffer.concat([Buffer.from('x'), file]),
      'another end': Buffer.concat([file.subarray(0, -1), Buffer.from([0])]),
      'something after it': Buffer.concat([file, Buffer.from('x')]),
      'cut off': file.subarray(0, -1),
      'its end only': file.subarray(-TAIL_BYTES),
      'its start only': file.subarray(0, 16),
      'one byte': file.subarray(0, 1),
      empty: Buffer.alloc(0)
    })) t.equal(typeOf(bytes), undefined, `${name}: ${why}`)
  }
  t.equal(imageTypeOf({ head: png().subarray(0, HEAD_BYTES), tail: jpeg().subarray(-TAIL_BYTES), size: 100 }), undefined)
  t.equal(imageTypeOf({ head: jpeg().subarray(0, HEAD_BYTES), tail: png().subarray(-TAIL_BYTES), size: 100 }), undefined)
})

t.test('a WebP picture is as long as its header says, and of a known kind', async t => {
  const file = webp()
  for (const size of [file.length - 1, file.length + 1, 0]) t.equal(typeOf(file, size), undefined, String(size))
  for (const [why, bytes] of Object.entries({
    'another container': Buffer.concat([Buffer.from('RIFX'), riff('VP8 ', 8).subarray(4)]),
    'another kind': riff('VP8Z', 8),
    'another content': Buffer.from(riff('VP8 ', 8).toString('latin1').replace('WEBP', 'WAVE'), 'latin1'),
    'cut off': riff('VP8', 7),
    'a kind with something before it': Buffer.concat([riff('', 12), Buffer.from('xVP8')]),
    'one byte': Buffer.from('R'),
    empty: Buffer.alloc(0)
  })) t.equal(typeOf(bytes), undefined, why)
})
