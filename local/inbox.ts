import { MailDev } from 'maildev'
import { Server } from 'node:http'
import { guard, onListen } from './guard.ts'
import { makeLinksClickable } from './inbox-links.ts'

export interface Inbox {
  readonly smtpUrl: string
  /** the web page; JSON of the mails at /api/email */
  readonly url: string
  stop (): Promise<void>
}

export interface InboxOptions {
  smtpPort: number
  webPort: number
  /** where the mails are kept; they come back with the next start */
  mailDirectory: string
}

/** Starts a real inbox in this process: takes every mail, shows it in the browser, delivers none. */
export async function startInbox ({ smtpPort, webPort, mailDirectory }: InboxOptions): Promise<Inbox> {
  const maildev = new MailDev({ smtp: smtpPort, ip: '127.0.0.1', web: webPort, webIp: '127.0.0.1', mailDirectory, silent: true })
  // It announces its web page even when it is told to be silent.
  const { info } = console
  console.info = () => {}
  try {
    await onListen(server => { if (server instanceof Server) guard(server) }, () => maildev.start())
  } finally {
    console.info = info
  }
  makeLinksClickable(maildev)
  return { smtpUrl: `smtp://127.0.0.1:${smtpPort}`, url: `http://localhost:${webPort}`, stop: () => maildev.stop() }
}
