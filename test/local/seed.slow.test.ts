import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { newDir, post, ROOT, start } from './running.ts'

interface Seeded { email: string, id: string, status: string, role: string, accessToken: string, refreshToken: string, challengeId: string, code: string }

async function seed (dir: string, ...args: string[]) {
  return await promisify(execFile)(process.execPath, ['scripts/seed.ts', ...args], { cwd: ROOT, env: { PATH: process.env['PATH'], LOCAL_DATA_DIR: dir } })
}

t.test('npm run seed makes a user in each state, and brings them back into it', async t => {
  const dir = newDir(t)
  const { api } = await start(t, dir)
  const users = async () => JSON.parse((await seed(dir, '--json')).stdout) as [Seeded, Seeded, Seeded, Seeded]
  const get = async (path: string, { accessToken }: Seeded) => await fetch(`${api}${path}`, { headers: { authorization: `Bearer ${accessToken}` } })

  async function check (t: Test, [admin, active, pending, suspended]: [Seeded, Seeded, Seeded, Seeded]): Promise<void> {
    t.match([admin, active, pending, suspended], [
      { email: 'admin@example.com', role: 'admin', status: 'ACTIVE' },
      { email: 'active@example.com', role: 'user', status: 'ACTIVE' },
      { email: 'pending@example.com', role: 'user', status: 'PENDING_VERIFICATION' },
      { email: 'suspended@example.com', role: 'user', status: 'SUSPENDED' }
    ])
    const { items } = await (await get('/v2/users', admin)).json() as { items: Seeded[] }
    const states = (users: Seeded[]) => users.map(({ email, id, status, role }) => ({ email, id, status, role })).sort((a, b) => a.email.localeCompare(b.email))
    t.strictSame(states(items), states([admin, active, pending, suspended]), 'what is printed is what the running service has, and there is nothing else')
    t.match(await (await get('/v2/users/me', active)).json(), { email: 'active@example.com' })
    t.equal((await post(`${api}/v2/auth/tokens`, { grantType: 'refresh_token', refreshToken: active.refreshToken })).status, 200)
    t.equal((await get('/v2/users/me', suspended)).status, 401)
  }

  const first = await users()
  await check(t, first)
  const [admin, active, pending, suspended] = first
  // What a developer does with them.
  t.equal((await post(`${api}/v2/auth/verify`, pending)).status, 400, 'the whole object is not a body')
  t.equal((await post(`${api}/v2/auth/verify`, { challengeId: pending.challengeId, code: pending.code })).status, 204)
  const change = (method: string, { id }: Seeded, body?: object) => fetch(`${api}/v2/users/${id}`, { method, headers: { authorization: `Bearer ${admin.accessToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  t.equal((await change('PATCH', active, { status: 'SUSPENDED' })).status, 200)
  t.equal((await change('DELETE', suspended)).status, 204)

  const second = await users()
  await check(t, second)
  t.strictSame([second[0].id, second[1].id], [admin.id, active.id], 'the same accounts')

  const { stdout } = await seed(dir)
  t.match(stdout, /^admin@example\.com {2}admin, ACTIVE, \S+\n {2}accessToken +\S+\n {2}refreshToken +\S+\n\nactive@/)
})

t.test('without a running npm start it says so', async t => {
  const dir = newDir(t)
  await t.rejects(seed(dir), { code: 2, stdout: '', stderr: `No npm start is running (no ${dir}/env): start it in another terminal\n` })
})
