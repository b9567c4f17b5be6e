import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { freePort, portOf } from '../../local/ports.ts'

// A free port is given to a program that listens a moment later. Until then nobody else shall get it.

/** The ports that Linux gives to connections and to whoever asks for any port. */
const [low, high] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number) as [number, number]

t.test('no two callers get the same port', async t => {
  const ports = await Promise.all(Array.from({ length: 300 }, () => freePort()))
  t.equal(new Set(ports).size, 300)
})

t.test('no connection of another program takes it', async t => {
  for (const port of [await freePort(), await portOf({ PORT: '0' }, 'PORT', 3000, '127.0.0.1')]) t.ok(port < low || port > high, `${port} is not one of ${low} to ${high}`)
})

t.test('a port that is in use is not given', async t => {
  const port = await freePort()
  const server = createServer()
  await new Promise<void>(resolve => { server.listen(port, '127.0.0.1', resolve) })
  t.teardown(() => server.close())
  await t.rejects(portOf({ PORT: String(port) }, 'PORT', 3000, '127.0.0.1'), { name: 'StartError', message: `PORT: port ${port} is in use, set PORT to another port, or to 0 for a free one` })
})
