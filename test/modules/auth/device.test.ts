import t from 'tap'
import { deviceOf, MAX_DEVICE } from '../../../src/modules/auth/device.ts'

t.test('a client is shown by the name that it gives itself, in a form that can be shown', async t => {
  for (const [userAgent, device] of [
    [undefined, undefined],
    ['', undefined],
    [' \t\u200b\u2060 ', undefined],
    ['Firefox/140', 'Firefox/140'],
    ['  App  /\t 1\r\n', 'App / 1'],
    ['A\u0000b\u001b[31m\u202ec\u200bd\ud800\u2028e', 'Ab[31mcd e'],
    [` ${'x'.repeat(300)}`, 'x'.repeat(MAX_DEVICE)],
    [`${'x'.repeat(MAX_DEVICE - 1)} yz`, 'x'.repeat(MAX_DEVICE - 1)],
    ['👩'.repeat(300), '👩'.repeat(MAX_DEVICE)]
  ] as const) t.equal(deviceOf(userAgent), device)
})
