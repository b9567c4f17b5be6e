import t from 'tap'
import { addressOf, createProxyTrust, networkOf } from '../../src/shared/network.ts'

t.test('an IPv4 client is its address, however it is written', async t => {
  for (const address of ['192.0.2.7', '::ffff:192.0.2.7', '::FFFF:192.0.2.7', '::ffff:c000:207', '0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7:41234', '[::ffff:192.0.2.7]:41234', ' 192.0.2.7 ']) {
    t.equal(networkOf(address), '192.0.2.7', address)
    t.equal(networkOf(address, 48), '192.0.2.7', address)
  }
  t.equal(networkOf('::ffff:192.100.200.250'), '192.100.200.250')
})

t.test('an IPv6 client is its prefix', async t => {
  for (const address of ['2001:db8:1:2::1', '2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:0db8:0001:0002:0:0:0:9', '[2001:db8:1:2::1]', '[2001:db8:1:2::1]:443', '2001:db8:1:2::1%eth0', '2001:db8:1:2::192.0.2.7']) {
    t.equal(networkOf(address), '2001:db8:1:2::/64', address)
    t.equal(networkOf(address, 48), '2001:db8:1::/48', address)
  }
  t.equal(networkOf('2001:db8:1:2ff::1', 56), '2001:db8:1:200::/56')
  t.equal(networkOf('2001:db8::1', 128), '2001:db8:0:0:0:0:0:1/128')
  t.equal(networkOf('::1'), '0:0:0:0::/64')
  t.not(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:1:3::1'))
})

t.test('what is no address is one network', async t => {
  for (const garbage of ['', 'unknown', '_hidden', '256.1.1.1', '1.2.3', '2001:db8', ':::', '[2001:db8::1', '1.2.3.4:99999x', '1.2.3.4, 5.6.7.8', 'x'.repeat(10_000)]) t.equal(networkOf(garbage), 'unknown', garbage.slice(0, 20))
})

t.test('an address without the port that a proxy wrote behind it', async t => {
  t.equal(addressOf('192.0.2.7:41234'), '192.0.2.7')
  t.equal(addressOf('[2001:db8::1]:443'), '2001:db8::1')
  t.equal(addressOf('2001:db8::1'), '2001:db8::1')
  t.equal(addressOf('unknown'), 'unknown')
})

t.test('a proxy is trusted by its address, with or without a port', async t => {
  const trusts = createProxyTrust(['10.0.0.0/8', '127.0.0.1', '2001:db8:1::/48'])
  for (const address of ['10.1.2.3', '10.1.2.3:8080', '::ffff:10.1.2.3', '127.0.0.1', '2001:db8:1:2::3', '[2001:db8:1:2::3]:8080']) t.equal(trusts(address), true, address)
  for (const address of ['11.1.2.3', '127.0.0.2', '2001:db8:2::3', '', 'unknown', '10.1.2.3.4']) t.equal(trusts(address), false, address)
  const single = createProxyTrust(['2001:db8::7', '::1'])
  t.same(['2001:db8::7', '[2001:DB8::7]:443', '2001:db8::8', '::1', '127.0.0.1'].map(single), [true, true, false, true, false])
})

t.test('only what is written as a port is taken from an address', async t => {
  for (const [text, address] of [['[2001:db8::1]', '2001:db8::1'], ['192.0.2.7:65535', '192.0.2.7'], ['192.0.2.7:123456', '192.0.2.7:123456'], ['[2001:db8::1]:123456', '[2001:db8::1]:123456'], ['192.0.2.7:', '192.0.2.7:'], ['x192.0.2.7:1', 'x192.0.2.7:1'],
    ['192.0.2.7:1x', '192.0.2.7:1x'], ['[]:1', '[]:1'], ['x[::1]:1', 'x[::1]:1'], ['fe80::1%eth0%1', 'fe80::1']] as const) t.equal(addressOf(text), address, text)
})
