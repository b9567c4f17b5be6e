import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../local/ports.ts'
import { expectRefusals, newDir, start, type Refusal } from './running.ts'

t.test('a start that cannot be ends with one line that names the variable to change', async t => {
  const dir = newDir(t)
  const busy = createServer()
  await new Promise<void>(resolve => { busy.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => busy.close())
  const { port } = busy.address() as AddressInfo

  const running = await start(t, dir)
  const file = join(newDir(t), 'file')
  const free = await freePort()
  const cases: Refusal[] = [
    ['the port is in use', { PORT: String(port) }, `PORT: port ${port} is in use, set PORT to another port, or to 0 for a free one`],
    ['the port of the inbox is in use', { INBOX_PORT: String(port) }, `INBOX_PORT: port ${port} is in use, set INBOX_PORT to another port, or to 0 for a free one`],
    ['the port is none', { PORT: 'http' }, 'PORT is not valid (expected a port, 0 for a free one)'],
    ['the data directory is in use', { LOCAL_DATA_DIR: dir }, `Another npm start already uses ${dir}: stop it, or set LOCAL_DATA_DIR to another directory`],
    ['the data directory cannot be made', { LOCAL_DATA_DIR: '/dev/null/x' }, 'LOCAL_DATA_DIR: /dev/null/x cannot be used (ENOTDIR: not a directory, mkdir \'/dev/null/x\')'],
    ['both ports are the same', { PORT: String(free), INBOX_PORT: String(free) }, `INBOX_PORT: port ${free} is already used for PORT, set one of the two to another port, or to 0 for a free one`],
    ['the address is another machine’s', { HOST: '192.0.2.1', PORT: String(free) }, 'HOST: 192.0.2.1 is not an address of this machine (EADDRNOTAVAIL)'],
    ['the address is another machine’s, with any port', { HOST: '192.0.2.1' }, 'HOST: 192.0.2.1 is not an address of this machine (EADDRNOTAVAIL)'],
    ['no machine has the name', { HOST: 'no-such-host.invalid' }, 'HOST: no-such-host.invalid is not an address of this machine (E'],
    ['no directory can be made there', { LOCAL_DATA_DIR: '/proc/x' }, 'LOCAL_DATA_DIR: /proc/x cannot be used (ENOENT: no such file or directory, mkdir \'/proc/x\')'],
    ['the data directory is a file', { LOCAL_DATA_DIR: '/dev/null' }, 'LOCAL_DATA_DIR: /dev/null cannot be used (it is not a directory)'],
    ['no file can be made there', { LOCAL_DATA_DIR: '/proc' }, 'LOCAL_DATA_DIR: /proc cannot be used (no file can be written there)'],
    ['a variable is wrong', { RATE_LIMIT_MAX: 'many' }, 'Configuration: RATE_LIMIT_MAX is not valid'],
    ['there is no sh and so no engine', { PATH: file }, 'dynoxide (the DynamoDB engine) cannot start: there is no sh']
  ]
  await expectRefusals(t, cases)
  t.equal((await fetch(`${running.api}/health/live`)).status, 200, 'the one that runs is not disturbed')
})
