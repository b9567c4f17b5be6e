import type { Transporter } from 'nodemailer'
import { BreakerOpen, type Breaker, type BreakerOptions } from '../../shared/breaker.ts'
import type { Aws } from '../../plugins/aws/index.ts'
import type { Config } from '../../plugins/config.ts'
import { MailDeferred, MailRefused, MailUnconfirmed, MailUnreachable } from './errors.ts'

/** One mail, ready to send. Address and name are separate fields, so that neither can be read as the other. */
export interface Mail {
  /** without angle brackets */
  messageId: string
  from: Mailbox
  to: Mailbox
  subject: string
  text: string
  html: string
  headers: Record<string, string>
  /** name the message in what SES publishes about it; an SMTP server does not get them */
  tags: Record<string, string>
}

export interface Mailbox {
  name: string
  address: string
}

/** Splits a sender such as `EMAIL_FROM` into name and address. The configuration has checked its form. */
export function mailboxOf (from: string): Mailbox {
  const [, name = '', address = from] = /^(.*)<([^<>]+)>$/.exec(from) ?? []
  return { name: name.trim().replace(/^"(.*)"$/, '$1'), address: address.trim() }
}

/** Sends mails. */
export interface Sender {
  /**
   * Resolves once the mail has been accepted.
   *
   * @param deadline milliseconds since 1970 after which it stops waiting for the answer
   * @throws {MailDeferred} it was not sent; a later try may succeed
   * @throws {MailUnreachable} the same, because the mail server does not answer
   * @throws {MailRefused} the recipient or the mail was rejected permanently
   * @throws {MailUnconfirmed} the whole mail was handed over, and no answer came
   */
  send (mail: Mail, deadline: number): Promise<void>
}

/** Mails in flight at once, each on its own connection, so that a batch of ten waits only for the server. */
const MAX_IN_FLIGHT = 10

/** Milliseconds for everything before the mail itself is handed over. A timeout here is safe to retry. */
const HANDOVER_TIMEOUT = 8_000

/** No mail is started when fewer milliseconds than this are left. */
const MIN_TIME = 1_000

/** A mail with what nodemailer needs besides. */
type OutgoingMail = Mail & { envelope: { from: string, to: string[] } }

/** One way to send mails. */
interface Way {
  /** `onHandover` is called when the content of the mail begins to be sent. */
  send (mail: OutgoingMail, options: { signal: AbortSignal, onHandover: () => void }): Promise<void>
  failure (error: SendError, isHandedOver: boolean): Error
}

interface SendError extends Error {
  code?: string
  /** from an SMTP server: the command that it answered, its code, and whether the rejection is permanent */
  command?: string
  responseCode?: number
  permanent?: boolean
  /** from AWS: its answer, if there was one */
  $metadata?: { httpStatusCode?: number }
}

// An SMTP error's message quotes the server's answer, which contains the address. Only the codes are safe to log.
const codesOf = ({ code, name, responseCode }: SendError) => [code === 'ESES' ? name : code ?? name, responseCode].filter(part => part !== undefined).join(' ')

function watchHandover (transport: Transporter, onHandover: () => void): Transporter {
  return transport.use('stream', ({ message }, done) => {
    const create = message.createReadStream.bind(message)
    // The stream is read only once the server has answered DATA.
    message.createReadStream = options => create(options).once('resume', onHandover)
    done()
  })
}

/** This machine, also as a container sees it. */
const LOCAL = /^(?:localhost|127(?:\.\d+){3}|\[::1\]|host\.docker\.internal)$/

/**
 * Whether a mail may only go over TLS. Without that, who is between this process and its server takes STARTTLS out of the
 * answer, and reads codes and the password. A URL that says `requireTLS=false` is obeyed: for a relay in a trusted network.
 */
export function needsTls (url: string, environment: Config['NODE_ENV']): boolean {
  const { hostname, searchParams } = new URL(url)
  return environment === 'production' && !LOCAL.test(hostname) && !searchParams.has('requireTLS')
}

// One connection per mail, none kept: a kept connection may be dead after a freeze or behind a NAT, and would have
// to be closed.
async function smtp (url: string, requireTLS: boolean): Promise<Way> {
  const { createTransport } = await import('nodemailer')
  return {
    async send ({ tags, ...mail }, { signal, onHandover }) {
      const transport = createTransport({
        url,
        ...(requireTLS ? { requireTLS } : {}),
        connectionTimeout: 3_000,
        greetingTimeout: 3_000,
        // RFC 5321 §4.5.3.2.6: ten minutes for the answer after the final dot. Earlier phases have shorter timeouts.
        socketTimeout: 600_000,
        disableFileAccess: true,
        disableUrlAccess: true
      })
      await watchHandover(transport, onHandover).sendMail({ ...mail, signal })
    },

    failure (error, isHandedOver) {
      const { command, permanent, responseCode } = error
      // Only answers about this recipient or this mail are permanent. A server that rejects our address, password or
      // connection rejects every mail until its configuration or ours is fixed.
      if (permanent === true && (command === 'RCPT TO' || command === 'DATA')) return new MailRefused(codesOf(error))
      if (responseCode !== undefined) return new MailDeferred(codesOf(error))
      return isHandedOver ? new MailUnconfirmed(codesOf(error)) : new MailUnreachable(codesOf(error))
    }
  }
}

// SES replaces our Message-ID with its own.
async function ses ({ AWS_REGION, AWS_ENDPOINT_URL, SES_CONFIGURATION_SET }: SenderConfig, traced: Aws['traced']): Promise<Way> {
  const [{ createTransport }, { SESv2Client, SendEmailCommand }] = await Promise.all([import('nodemailer'), import('@aws-sdk/client-sesv2')])
  const agent = { keepAlive: false, maxSockets: MAX_IN_FLIGHT }
  const client = new SESv2Client({
    region: AWS_REGION,
    ...(AWS_ENDPOINT_URL === undefined ? {} : { endpoint: AWS_ENDPOINT_URL }),
    // The queue does the retries. An attempt whose answer was lost may have sent the mail, so the SDK must not retry it at once.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 3_000, httpAgent: agent, httpsAgent: agent }
  })
  traced(client)
  return {
    async send ({ tags, ...mail }, { signal, onHandover }) {
      const sesClient = {
        config: client.config,
        send: (command: unknown) => {
          onHandover()
          return client.send(command as InstanceType<typeof SendEmailCommand>, { abortSignal: signal })
        }
      }
      // Without a configuration set SES publishes nothing, so the tags would be of no use.
      const request = SES_CONFIGURATION_SET === undefined
        ? {}
        : { ConfigurationSetName: SES_CONFIGURATION_SET, EmailTags: Object.entries(tags).map(([Name, Value]) => ({ Name, Value })) }
      await createTransport({ SES: { sesClient, SendEmailCommand }, disableFileAccess: true, disableUrlAccess: true }).sendMail({ ...mail, ses: request, signal })
    },

    failure (error) {
      const { name, message, $metadata } = error
      // SES reports "not verified" for a sender, and for every recipient while the account is in the sandbox. Both affect
      // every mail, so neither is permanent.
      if (name === 'BadRequestException' || (name === 'MessageRejected' && !/not verified/i.test(message))) return new MailRefused(codesOf(error))
      const isUnanswered = $metadata?.httpStatusCode === undefined && ['AbortError', 'TimeoutError'].includes(name) && !/not establish a connection/.test(message)
      if (isUnanswered) return new MailUnconfirmed(codesOf(error))
      return ($metadata?.httpStatusCode ?? 500) >= 500 ? new MailUnreachable(codesOf(error)) : new MailDeferred(codesOf(error))
    }
  }
}

/** Limits how many calls run at once; the others wait in order. */
function createSlots (free: number) {
  const waiting: (() => void)[] = []
  return {
    async take (): Promise<void> {
      if (free > 0) free--
      else await new Promise<void>(resolve => { waiting.push(resolve) })
    },
    give () {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}

type SenderConfig = Pick<Config, 'NODE_ENV' | 'SMTP_URL' | 'AWS_REGION' | 'AWS_ENDPOINT_URL' | 'SES_CONFIGURATION_SET'>

/** When the sender's breaker opens: a server that defers or rejects mails answers, and one that got as far as the mail itself does too. */
export const BREAKER: BreakerOptions = {
  isFailure: error => error instanceof MailUnreachable,
  // The mails of a batch arrive together. If all but the first were queued again, they would wait for minutes.
  awaitsTrial: true
}

/**
 * The configured sender: an SMTP server, or SES if none is configured. Loaded with the first mail, because most processes send
 * none. While it does not answer, mails are deferred at once instead of waiting for it one after the other.
 */
export function createSender ({ config, traced, breaker }: { config: SenderConfig, traced: Aws['traced'], breaker: Breaker }): Sender {
  let loading: Promise<Way> | undefined
  const slots = createSlots(MAX_IN_FLIGHT)

  /** Milliseconds until the deadline. */
  function timeLeft (deadline: number): number {
    const left = deadline - Date.now()
    if (left < MIN_TIME) throw new MailDeferred('no time left')
    return left
  }

  async function sendNow ({ messageId, to, ...mail }: Mail, deadline: number): Promise<void> {
    const left = timeLeft(deadline)
    loading ??= config.SMTP_URL === undefined ? ses(config, traced) : smtp(config.SMTP_URL, needsTls(config.SMTP_URL, config.NODE_ENV))
    const way = await loading

    const stopping = new AbortController()
    const abort = () => { stopping.abort() }
    // When little time is left, half of it is kept for the server's answer.
    let timer = setTimeout(abort, Math.min(HANDOVER_TIMEOUT, left / 2))
    let isHandedOver = false
    const onHandover = () => {
      isHandedOver = true
      clearTimeout(timer)
      timer = setTimeout(abort, deadline - Date.now())
    }
    // The SMTP envelope, separate from the header: one sender, one recipient.
    const envelope = { from: mail.from.address, to: [to.address] }
    try {
      await way.send({ ...mail, to, messageId: `<${messageId}>`, envelope }, { signal: stopping.signal, onHandover })
    } catch (error) {
      throw way.failure(error as SendError, isHandedOver)
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    async send (mail, deadline) {
      await slots.take()
      try {
        timeLeft(deadline) // a trial of the breaker needs it
        await breaker.run(() => sendNow(mail, deadline))
      } catch (error) {
        throw error instanceof BreakerOpen ? new MailUnreachable('not tried') : error
      } finally {
        slots.give()
      }
    }
  }
}
