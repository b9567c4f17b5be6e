import { copyFileSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import t from 'tap'
import { isWhole, startInbox } from '../../local/inbox.ts'
import { freePort } from '../../local/ports.ts'

const mailsOf = async (url: string) => await (await fetch(`${url}/api/email`)).json() as { subject: string, to: object[] }[]

t.test('what a kill left of a mail is gone with the next start, and whole mails are there', async t => {
  const mailDirectory = join(t.testdir(), 'mails')
  mkdirSync(mailDirectory)
  const options = async () => ({ smtpPort: await freePort(), webPort: await freePort(), mailDirectory })
  const first = await startInbox(await options())
  const transport = createTransport(first.smtpUrl)
  await transport.sendMail({ from: 'a@example.com', to: 'b@example.com', subject: 'both', text: 'text', html: '<p>html</p>' })
  await transport.sendMail({ from: 'a@example.com', to: 'b@example.com', subject: 'plain', text: 'text' })
  transport.close()
  await first.stop()

  const whole = readdirSync(mailDirectory)
  t.equal(whole.length, 2)
  const multipart = whole.map(name => join(mailDirectory, name)).find(file => readFileSync(file, 'utf8').includes('Subject: both'))!
  const mail = readFileSync(multipart, 'latin1')
  // Every length that is less than the whole, but for the line break at its end.
  const lengths = Array.from({ length: mail.trimEnd().length }, (_, i) => i)
  t.strictSame(lengths.filter(length => isWhole(mail.slice(0, length))), [])
  for (const [i, length] of [0, 10, Math.floor(mail.length / 2)].entries()) writeFileSync(join(mailDirectory, `half${i}.eml`), mail.slice(0, length))
  copyFileSync(multipart, join(mailDirectory, 'another.eml'))

  const second = await startInbox(await options())
  t.teardown(() => second.stop())
  t.strictSame((await mailsOf(second.url)).map(({ subject }) => subject).sort(), ['both', 'both', 'plain'])
  t.strictSame(readdirSync(mailDirectory).filter(name => name.startsWith('half')), [])
})

t.test('the inbox keeps the newest mails, after a start and while it runs', async t => {
  const mailDirectory = join(t.testdir(), 'mails')
  mkdirSync(mailDirectory)
  // Of 3,000 mails, the higher ones are newer. One has what maildev writes beside a mail.
  for (let i = 1; i <= 3000; i++) {
    const file = join(mailDirectory, `mail${i}.eml`)
    writeFileSync(file, `Subject: ${i}\r\n\r\ntext\r\n`)
    utimesSync(file, i, i)
  }
  mkdirSync(join(mailDirectory, 'mail1'))
  writeFileSync(join(mailDirectory, 'mail1', 'attachment.txt'), 'text')
  writeFileSync(join(mailDirectory, 'mail1.meta.json'), '{}')
  const inbox = await startInbox({ smtpPort: await freePort(), webPort: await freePort(), mailDirectory, kept: 3 })
  t.teardown(() => inbox.stop())
  const subjects = async () => (await mailsOf(inbox.url)).map(({ subject }) => subject).sort()
  t.strictSame(await subjects(), ['2998', '2999', '3000'])
  t.strictSame(readdirSync(mailDirectory).sort(), ['mail2998.eml', 'mail2999.eml', 'mail3000.eml'])

  const transport = createTransport(inbox.smtpUrl)
  await transport.sendMail({ from: 'a@example.com', to: 'b@example.com', subject: 'new', text: 'text' })
  transport.close()
  t.strictSame(await subjects(), ['2999', '3000', 'new'])
  t.equal(readdirSync(mailDirectory).length, 3)
})
