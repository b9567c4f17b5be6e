import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createRenderer } from '../../../src/modules/email/renderer.ts'

const brand = { brand: 'Acme', contact: 'help@acme.example', verifyUrl: 'https://acme.example/verify' }
const mail = { type: 'SIGN_IN_CODE', name: 'Ada Lovelace', locale: 'en', challenge: { challengeId: '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42', code: '04815162' } } as const

t.test('templates that could not be read are read with the next mail, and then once', async t => {
  const directory = join(t.testdir(), 'templates')
  const renderer = createRenderer({ ...brand, directory })
  await t.rejects(renderer.load(), { message: 'Configuration: MAIL_TEMPLATES_DIR cannot be read (ENOENT)' })
  await t.rejects(renderer.render(mail), { code: 'CONFIG_INVALID' })
  mkdirSync(directory)
  writeFileSync(join(directory, 'en.json'), JSON.stringify({ SIGN_IN_CODE: { subject: 'Our own' } }))
  t.match(await renderer.render(mail), { subject: 'Our own', toName: 'Ada Lovelace' })
  rmSync(directory, { recursive: true })
  await renderer.load()
  t.equal((await renderer.render(mail)).subject, 'Our own')
})
