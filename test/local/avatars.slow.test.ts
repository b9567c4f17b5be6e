import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import t from 'tap'
import { memoryStorage } from '../../clients/typescript/src/index.ts'
import type { Upload } from '../../src/modules/uploads/contract.ts'
import type { User } from '../../src/modules/users/contract.ts'
import { until } from '../until.ts'
import { png } from '../modules/uploads/pictures.ts'
import { newDir, register, start } from './running.ts'

t.test('with npm start, an avatar is uploaded and shown, survives a crash, and is deleted with its account', async t => {
  const dir = newDir(t)
  const first = await start(t, dir)
  const storage = memoryStorage()
  await register(first.api, first.inbox, 'ada@example.com', storage)
  const env = parseEnv(readFileSync(join(dir, 'env'), 'utf8'))
  t.match(env, { UPLOADS_BUCKET: 'uploads-bucket', AWS_ENDPOINT_URL_S3: /^http:\/\/127\.0\.0\.1:\d+$/ }, 'other processes find the bucket')

  const authorization = `Bearer ${(await storage.get())!.accessToken}`
  const ask = async (api: string, size: number) => await (await fetch(`${api}/v2/users/me/avatar`, { method: 'POST', headers: { authorization, 'content-type': 'application/json' }, body: JSON.stringify({ contentType: 'image/png', size }) })).json() as Upload
  async function send ({ url, fields }: Upload, file: Buffer, headers: Record<string, string> = {}) {
    const form = new FormData()
    for (const [name, value] of Object.entries(fields)) form.append(name, value)
    form.append('file', new Blob([new Uint8Array(file)]))
    const answer = await fetch(url, { method: 'POST', body: form, headers })
    t.equal(answer.status, 204)
    return answer
  }
  const user = async (api: string) => await (await fetch(`${api}/v2/users/me`, { headers: { authorization } })).json() as User
  const shown = async (api: string, other?: string) => await until(async () => {
    const { avatarUrl } = await user(api)
    return avatarUrl !== other && avatarUrl
  })

  const one = png('one')
  t.equal((await send(await ask(first.api, one.length), one, { origin: first.api })).headers.get('access-control-allow-origin'), first.api, 'a page of the API itself may upload')
  const avatarUrl = await shown(first.api)
  t.strictSame(Buffer.from(await (await fetch(avatarUrl)).arrayBuffer()), one, 'followed to the picture')
  await send(await ask(first.api, 3), Buffer.from('<b>'))

  first.child.kill('SIGKILL')
  await first.exited
  const second = await start(t, dir)
  const url = second.api + new URL(avatarUrl).pathname
  t.strictSame(Buffer.from(await (await fetch(url)).arrayBuffer()), one, 'the crash has lost nothing')
  const other = png('other')
  await send(await ask(second.api, other.length), other)
  await shown(second.api, url)
  t.equal((await fetch(url)).status, 404, 'the earlier picture is gone')

  t.equal((await fetch(`${second.api}/v2/users/me`, { method: 'DELETE', headers: { authorization } })).status, 204)
  const keys = async () => (await (await fetch(`${parseEnv(readFileSync(join(dir, 'env'), 'utf8'))['AWS_ENDPOINT_URL_S3']!}/uploads-bucket?list-type=2`)).text()).match(/<Key>[^<]+/g) ?? []
  await until(async () => (await keys()).length === 0)
  second.child.kill('SIGINT')
  t.strictSame(await second.exited, [0, null])
})
