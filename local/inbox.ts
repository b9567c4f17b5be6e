import { MailDev } from 'maildev'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { Server } from 'node:http'
import { join } from 'node:path'
import { guard, onListen } from './guard.ts'
import { makeLinksClickable } from './inbox-links.ts'

export interface Inbox {
  readonly smtpUrl: string
  /** URL of the web page; the mails are at /api/email as JSON */
  readonly url: string
  stop (): Promise<void>
}

export interface ReceivedMail {
  to: string
  subject: string
  /** URL of the mail in the inbox */
  url: string
}

export interface InboxOptions {
  smtpPort: number
  webPort: number
  /** directory for the mails, so that they survive a restart */
  mailDirectory: string
  /** called with each new mail */
  onMail?: (mail: ReceivedMail) => void
}

/** More mails than can have been in transfer when a process was killed. */
const LAST = 50

/** Whether a mail was received completely: a multipart body ends with its boundary, and the header with an empty line. */
export function isWhole (mail: string): boolean {
  const [header, ...body] = mail.split(/\r?\n\r?\n/)
  if (header === '' || body.length === 0) return false
  const [, quoted, plain] = /^content-type:\s*multipart\/[^;]+;(?:[^\n]|\r?\n[ \t])*?boundary=(?:"([^"]+)"|([^\s;]+))/im.exec(header!) ?? []
  const boundary = quoted ?? plain
  return boundary === undefined || mail.includes(`\n--${boundary}--`)
}

/** Removes incomplete mails that a kill has left. They were not acknowledged and will be sent again. */
async function removeHalves (directory: string): Promise<void> {
  const names = (await readdir(directory).catch(() => [])).filter(name => name.endsWith('.eml'))
  const files = await Promise.all(names.map(async name => ({ path: join(directory, name), time: (await stat(join(directory, name))).mtimeMs })))
  for (const { path } of files.sort((a, b) => b.time - a.time).slice(0, LAST)) {
    if (!isWhole(await readFile(path, 'latin1'))) await rm(path)
  }
}

/** Starts a real inbox in this process. It accepts every mail, shows it in the browser and delivers none. */
export async function startInbox ({ smtpPort, webPort, mailDirectory, onMail }: InboxOptions): Promise<Inbox> {
  await removeHalves(mailDirectory)
  const maildev = new MailDev({ smtp: smtpPort, ip: '127.0.0.1', web: webPort, webIp: '127.0.0.1', mailDirectory, silent: true })
  // It prints the URL of its web page even in silent mode.
  const { info } = console
  console.info = () => {}
  try {
    await onListen(server => { if (server instanceof Server) guard(server) }, () => maildev.start())
  } finally {
    console.info = info
  }
  makeLinksClickable(maildev)
  const url = `http://localhost:${webPort}`
  maildev.getServers()!.smtp.on('new', ({ id, to, subject }: { id: string, to: { address: string }[], subject: string }) => {
    onMail?.({ to: to.map(({ address }) => address).join(', '), subject, url: `${url}/#/email/${id}` })
  })
  return { smtpUrl: `smtp://127.0.0.1:${smtpPort}`, url, stop: () => maildev.stop() }
}
