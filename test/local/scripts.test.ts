import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { completeEnv } from '../../local/env.ts'
import { ours, ROOT, run } from './npm-scripts.ts'

/** A folder from which `npm run serve` runs, with a `.env` of its own. */
function folder (t: Test, dotenv?: string): string {
  const dir = t.testdir()
  for (const name of ['scripts', 'src', 'node_modules', 'package.json']) symlinkSync(join(ROOT, name), join(dir, name))
  if (dotenv !== undefined) writeFileSync(join(dir, '.env'), dotenv)
  return dir
}

t.test('the plain server reads .env, says where one comes from, and lets the environment go first', async t => {
  const serve = ours.find(([name]) => name === 'serve')![1]
  const without = await run(t, serve, { cwd: folder(t) })
  t.match(without.stderr, /^Configuration: JWT_SECRET is missing .+; PUBLIC_URL, AWS_REGION, .+ are missing .*\. There is no \.env: cp \.env\.example \.env, and fill in JWT_SECRET\n$/)
  t.equal(without.code, 1)

  const dotenv = readFileSync(join(ROOT, '.env.example'), 'utf8').replace(/^JWT_SECRET=$/m, `JWT_SECRET=${'x'.repeat(40)}`)
  const other = await run(t, serve, { cwd: folder(t, dotenv), env: { PORT: 'http' } })
  t.equal(other.stderr, 'Configuration: PORT is not valid: expected a whole number from 0 to 65535, for example 3000\n', 'everything else is in the file')
})

t.test('a server that cannot listen says so in one line that names the variable', async t => {
  const busy = createServer()
  await new Promise<void>(resolve => { busy.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => busy.close())
  const port = String((busy.address() as AddressInfo).port)
  const cases: [env: Record<string, string>, message: string][] = [
    [{ PORT: port }, `PORT: port ${port} is in use, set PORT to another port, or to 0 for a free one\n`],
    [{ PORT: '0', HOST: '192.0.2.1' }, 'HOST: 192.0.2.1 is not an address of this machine (EADDRNOTAVAIL)\n'],
    [{ PORT: '0', HOST: 'no-such-host.invalid' }, 'HOST: no-such-host.invalid is not an address of this machine (ENOTFOUND)\n']
  ]
  for (const [env, message] of cases) {
    const { code, stderr, stdout } = await run(t, ['src/server.ts'], { env: completeEnv({ LOG_LEVEL: 'silent', ...env }) })
    t.equal(code, 1)
    t.equal(stdout + stderr, message)
  }
})

t.test('npm run sam:local says what is missing before it builds anything', async t => {
  const samLocal = [join(ROOT, 'scripts/sam-local.ts')]
  const dir = t.testdir()
  const command = (name: string, body: string) => writeFileSync(join(dir, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
  const outcome = async () => await run(t, samLocal, { cwd: dir, env: { PATH: dir } })
  t.match(await outcome(), { code: 1, stdout: '', stderr: 'The SAM CLI is missing (pip install aws-sam-cli)\n' })
  command('sam', 'echo 1.170.0')
  t.match(await outcome(), { code: 1, stdout: '', stderr: 'Docker is missing\n' })
  command('docker', 'echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock." >&2; exit 1')
  t.match(await outcome(), { code: 1, stdout: '', stderr: 'Docker does not run (Cannot connect to the Docker daemon at unix:///var/run/docker.sock.)\n' })
  command('docker', 'echo 27.0')
  t.match(await outcome(), { code: 1, stdout: '', stderr: '.local/env does not exist: start the engines with npm start in another terminal\n' })
  t.strictSame(readdirSync(dir).sort(), ['docker', 'sam'])
})
