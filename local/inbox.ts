import { MailDev } from 'maildev'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
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
  /** mails that are kept: older ones are removed at the start and with each new one */
  kept?: number
  /** called with each new mail */
  onMail?: (mail: ReceivedMail) => void
}

/** maildev has every mail in memory and parses each at the start, which takes 1.1 ms a mail: 12,000 of them took 9 s and 300 MiB. */
const KEPT_MAILS = 500

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

function namesIn (directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/**
 * Removes incomplete mails that a kill has left, which were not acknowledged and will be sent again, and all but the newest.
 * maildev would remove these too, but one after the other with three calls each: 1.5 s for 10,000 mails, here 0.2 s.
 */
function tidy (directory: string, kept: number): void {
  const names = namesIn(directory)
  const mails = names.filter(name => name.endsWith('.eml')).map(name => ({ id: name.slice(0, -'.eml'.length), time: statSync(join(directory, name)).mtimeMs }))
  mails.sort((a, b) => b.time - a.time)
  const isIncomplete = ({ id }: { id: string }) => !isWhole(readFileSync(join(directory, `${id}.eml`), 'latin1'))
  const removed = new Set([...mails.slice(0, LAST).filter(isIncomplete), ...mails.slice(kept)].map(({ id }) => id))
  // A mail's attachments are in a directory of its name, and there may be a file about it.
  for (const name of names) if (removed.has(name.replace(/\.(?:eml|meta\.json)$/, ''))) rmSync(join(directory, name), { recursive: true })
}

/** Starts a real inbox in this process. It accepts every mail, shows it in the browser and delivers none. */
export async function startInbox ({ smtpPort, webPort, mailDirectory, kept = KEPT_MAILS, onMail }: InboxOptions): Promise<Inbox> {
  tidy(mailDirectory, kept)
  const maildev = new MailDev({ smtp: smtpPort, ip: '127.0.0.1', web: webPort, webIp: '127.0.0.1', mailDirectory, maxEmails: kept, silent: true })
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
