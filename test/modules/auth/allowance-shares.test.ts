import t from 'tap'
import { CODE_LIMITS, domainFactor, mailboxOf, siteOf } from '../../../src/modules/auth/allowance.ts'

const HOUR = 3_600_000
const DAY = 86_400_000

t.test('an address gets its codes by the hour and by the day: in total, from one network, and from one site, which is an IPv6 /48', async t => {
  t.same(CODE_LIMITS, {
    address: [{ window: HOUR, max: 15 }, { window: DAY, max: 30 }],
    network: [{ window: HOUR, max: 5 }, { window: DAY, max: 10 }],
    site: [{ window: HOUR, max: 10 }, { window: DAY, max: 20 }]
  })
  for (const [network, site] of [
    ['2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:db8:1:ffff::/64', '2001:db8:1::/48'],
    ['2001:db8:2:2::/64', '2001:db8:2::/48'],
    ['192.0.2.1', undefined],
    ['192.0.2.164', undefined],
    ['registration', undefined]
  ] as const) t.equal(siteOf(network), site, network)
})

t.test('a plus tag makes no other mailbox, and a provider of very many mailboxes gets ten times as many codes as any other domain', async t => {
  for (const [address, mailbox] of [
    ['ada@example.com', 'ada@example.com'],
    ['ada+news@example.com', 'ada@example.com'],
    ['ada+@example.com', 'ada@example.com'],
    ['ada+a+b.c@example.com', 'ada@example.com'],
    ['ada.king@example.com', 'ada.king@example.com']
  ] as const) t.equal(mailboxOf(address), mailbox)
  const big = 'aol.com gmail.com gmx.de gmx.net googlemail.com hotmail.com icloud.com live.com mail.ru me.com msn.com naver.com orange.fr outlook.com proton.me protonmail.com qq.com t-online.de web.de yahoo.co.jp yahoo.com yandex.ru 163.com'
  for (const domain of big.split(' ')) t.equal(domainFactor(domain), 200, domain)
  for (const domain of ['example.com', 'mail.gmail.com', 'com', '']) t.equal(domainFactor(domain), 20, domain)
})
