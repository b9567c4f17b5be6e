import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import t from 'tap'
import { freePort } from '../../local/ports.ts'
import { newDir, processesOf, run, start } from './running.ts'

t.test('a start that cannot be ends with one line that names the variable to change', async t => {
  const dir = newDir(t)
  const taken = createServer()
  await new Promise<void>(resolve => { taken.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo

  const running = await start(t, dir)
  const file = join(newDir(t), 'file')
  /** A data directory with something in it that is not what npm start writes. */
  const spoilt = (spoil: (dir: string) => void): { LOCAL_DATA_DIR: string } => {
    const dir = newDir(t)
    spoil(dir)
    return { LOCAL_DATA_DIR: dir }
  }
  const write = (name: string, text: string) => spoilt(dir => {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  })
  const free = await freePort()
  const noDatabase = 'no database '.repeat(100)
  const cases: [why: string, env: Record<string, string>, message: string][] = [
    ['the port is taken', { PORT: String(port) }, `PORT: port ${port} is taken, set PORT to another port, or to 0 for a free one`],
    ['the port of the inbox is taken', { INBOX_PORT: String(port) }, `INBOX_PORT: port ${port} is taken, set INBOX_PORT to another port, or to 0 for a free one`],
    ['the port is none', { PORT: 'http' }, 'PORT is not valid (expected a port, 0 for a free one)'],
    ['the data directory is in use', { LOCAL_DATA_DIR: dir }, `Another npm start already uses ${dir}: stop it, or set LOCAL_DATA_DIR to another directory`],
    ['the data directory cannot be made', { LOCAL_DATA_DIR: '/dev/null/x' }, 'LOCAL_DATA_DIR: /dev/null/x cannot be used (ENOTDIR: not a directory, mkdir \'/dev/null/x\')'],
    ['both ports are the same', { PORT: String(free), INBOX_PORT: String(free) }, `INBOX_PORT: port ${free} is PORT's already, set one of the two to another port, or to 0 for a free one`],
    ['the address is another machine’s', { HOST: '192.0.2.1', PORT: String(free) }, 'HOST: 192.0.2.1 is not an address of this machine (EADDRNOTAVAIL)'],
    ['the address is another machine’s, with any port', { HOST: '192.0.2.1' }, 'HOST: 192.0.2.1 is not an address of this machine (EADDRNOTAVAIL)'],
    ['the name is nobody’s', { HOST: 'no-such-host.invalid' }, 'HOST: no-such-host.invalid is not an address of this machine (E'],
    ['no directory can be made there', { LOCAL_DATA_DIR: '/proc/x' }, 'LOCAL_DATA_DIR: /proc/x cannot be used (ENOENT: no such file or directory, mkdir \'/proc/x\')'],
    ['no file can be made there', { LOCAL_DATA_DIR: '/proc' }, 'LOCAL_DATA_DIR: /proc cannot be used (unable to open database file)'],
    ['the data directory is a newer version’s', write('version', '2\n'), 'LOCAL_DATA_DIR: '],
    ['the version is none', write('version', 'x'), 'LOCAL_DATA_DIR: '],
    ['the lock is no database', write('lock', noDatabase), 'LOCAL_DATA_DIR: '],
    ['the database is none', write('dynamodb/dynamodb.sqlite', noDatabase), 'dynoxide (the DynamoDB engine) cannot start: error: Database file is'],
    ['the directory of the database is a file', write('dynamodb', ''), 'LOCAL_DATA_DIR: '],
    ['the queues are no database', write('sqs/fauxqs.db', noDatabase), 'LOCAL_DATA_DIR: '],
    ['the directory of the mails is a file', write('mails', ''), 'LOCAL_DATA_DIR: '],
    ['the checkpoints are none', write('checkpoints.json', '{"a":'), 'LOCAL_DATA_DIR: '],
    ['the secret cannot be read', spoilt(dir => mkdirSync(join(dir, 'jwt-secret'))), 'LOCAL_DATA_DIR: '],
    ['the environment cannot be written', spoilt(dir => mkdirSync(join(dir, 'env'))), 'LOCAL_DATA_DIR: '],
    ['a variable is wrong', { RATE_LIMIT_MAX: 'many' }, 'Configuration: RATE_LIMIT_MAX is not valid'],
    ['there is no sh and so no engine', { PATH: file }, 'dynoxide (the DynamoDB engine) cannot start: there is no sh']
  ]
  const check = async ([why, env, message]: typeof cases[number]) => {
    const own = newDir(t)
    const { exited, output } = run(t, own, env)
    t.strictSame(await exited, [1, null], why)
    t.ok(output().startsWith(message), `${why}: ${output()}`)
    t.equal(output().trim().split('\n').length, 1, `${why}: one line`)
    t.match(output(), /(?:PORT|HOST|LOCAL_DATA_DIR|RATE_LIMIT_MAX)\b/, `${why}: names the variable`)
    t.strictSame(processesOf(own), [])
  }
  // Three at a time: on two cores more would only wait for each other.
  await Promise.all(Array.from({ length: 3 }, async () => {
    for (let next = cases.shift(); next !== undefined; next = cases.shift()) await check(next)
  }))
  t.equal((await fetch(`${running.api}/health/live`)).status, 200, 'the one that runs is not disturbed')
})
