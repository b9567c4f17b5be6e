import t from 'tap'
import { traceparentIn } from '../../src/shared/traceparent.ts'

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

t.test('a traceparent is read in the form of its standard only', async t => {
  for (const value of [TRACEPARENT, TRACEPARENT.replace('00-', '01-'), TRACEPARENT.replace(/01$/, '00'), '00-00000000000000000000000000000001-0000000000000001-00']) t.equal(traceparentIn(value), value)
  for (const [value, what] of [
    [undefined, 'none'], [1, 'a number'], [[TRACEPARENT], 'a list'], ['', 'an empty text'], ['text', 'a text'],
    [`x${TRACEPARENT}`, 'something before'], [`${TRACEPARENT}-00`, 'something after'], [`${TRACEPARENT}\n`, 'a line end'],
    [TRACEPARENT.replace('00-', 'ff-'), 'the version that the standard forbids'],
    [TRACEPARENT.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)), 'no trace'],
    [TRACEPARENT.replace('00f067aa0ba902b7', '0'.repeat(16)), 'no span'],
    [TRACEPARENT.toUpperCase(), 'capitals'], [TRACEPARENT.replace('4bf9', '4bg9'), 'a letter that is no digit']
  ] as const) t.equal(traceparentIn(value), undefined, what)
})

t.test('an id may begin with zeros', async t => {
  for (const value of ['00-0bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000b70-01']) t.equal(traceparentIn(value), value)
})
