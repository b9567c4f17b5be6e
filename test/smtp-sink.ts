import type { ParsedMail } from 'mailparser'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { SMTPServer } from 'smtp-server'
import type { Restartable } from './faults.ts'

export interface SmtpSink<Mail = ParsedMail> extends Restartable {
  readonly url: string
  /**
   * Set to refuse mails: the answer to give instead of 250, or `undefined` to accept this one. `stall` gives no answer,
   * `drop` cuts the connection. A server that grey-lists gives a 451 at first.
   */
  refuse: ((mail: Mail) => string | undefined) | undefined
}

/** An SMTP server that keeps what it has accepted, as `parse` makes it of the mail. */
export async function startSmtpSink<Mail> (mails: Mail[], parse: (stream: Readable) => Promise<Mail>): Promise<SmtpSink<Mail>> {
  let server: SMTPServer
  let port = 0
  async function start () {
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      closeTimeout: 100, // a pooled connection of the worker stays open
      onData (stream, session, callback) {
        parse(stream).then(mail => {
          const refusal = sink.refuse?.(mail)
          if (refusal === 'stall') return
          if (refusal === 'drop') return [...server.connections].find(connection => (connection as unknown as { session: object }).session === session)?.close()
          if (refusal !== undefined) return callback(Object.assign(new Error(refusal), { responseCode: Number(refusal.slice(0, 3)) || 451 }))
          mails.push(mail)
          callback()
        }, callback)
      }
    })
    server.on('error', () => {}) // a client that was killed
    await new Promise<void>(resolve => { server.listen(port, '127.0.0.1', resolve) })
    port = (server.server.address() as AddressInfo).port
  }
  const sink: SmtpSink<Mail> = {
    get url () { return `smtp://127.0.0.1:${port}` },
    refuse: undefined,
    start,
    stop: () => new Promise(resolve => { server.close(resolve) })
  }
  await start()
  return sink
}
