import type { Transporter } from 'nodemailer'
import type { Config } from '../../plugins/config.ts'
import { MailDeferred, MailRefused, MailUnconfirmed } from './errors.ts'

/** One mail, ready to go. Address and name stay apart, so that neither can be read as the other. */
export interface Mail {
  /** without angle brackets */
  messageId: string
  from: Mailbox
  to: Mailbox
  subject: string
  text: string
  html: string
  headers: Record<string, string>
}

export interface Mailbox {
  name: string
  address: string
}

/** Name and address of a sender such as `EMAIL_FROM`, whose form the configuration has checked. */
export function mailboxOf (from: string): Mailbox {
  const [, name = '', address = from] = /^(.*)<([^<>]+)>$/.exec(from) ?? []
  return { name: name.trim().replace(/^"(.*)"$/, '$1'), address: address.trim() }
}

/** Where mails go. */
export interface Sender {
  /**
   * Resolves once the mail has been accepted.
   *
   * @param deadline milliseconds since 1970 at which it gives up waiting for the answer
   * @throws {MailDeferred} it was not sent, and may be later
   * @throws {MailRefused} the recipient or the mail was rejected for good
   * @throws {MailUnconfirmed} it was handed over whole, and no answer came
   */
  send (mail: Mail, deadline: number): Promise<void>
}

/** Mails in flight at once, each on a connection of its own: a batch of ten waits for nothing but the server. */
const MAX_IN_FLIGHT = 10

/** Milliseconds for everything before the mail itself is handed over: nothing is lost when it is tried again later. */
const HANDOVER_TIMEOUT = 8_000

/** Milliseconds that must be left for a mail to be started at all. */
const MIN_TIME = 1_000

/** One way to send mails. */
interface Way {
  /** `onHandover` is called when the content of the mail begins to be sent. */
  send (mail: object, options: { signal: AbortSignal, onHandover: () => void }): Promise<void>
  failure (error: SendError, isHandedOver: boolean): Error
}

interface SendError {
  name?: string
  message?: string
  code?: string
  /** of an SMTP server: the command that it answered, its code, and whether that is final */
  command?: string
  responseCode?: number
  permanent?: boolean
  /** of AWS: its answer, where there was one */
  $metadata?: { httpStatusCode?: number }
}

// An SMTP error's message quotes the server's answer, and with it the address. The codes are all that is safe to log.
const codesOf = ({ code, name, responseCode }: SendError) => [code === 'ESES' ? name : code ?? name, responseCode].filter(part => part !== undefined).join(' ')

function watchHandover (transport: Transporter, onHandover: () => void): Transporter {
  return transport.use('stream', ({ message }, done) => {
    const create = message.createReadStream.bind(message)
    // It is read from when the server has answered DATA, and not before.
    message.createReadStream = options => create(options).once('resume', onHandover)
    done()
  })
}

// A connection for each mail, and none kept: one that a frozen function or a NAT has lost cannot be used again, and
// nothing is left to close.
async function smtp (url: string): Promise<Way> {
  const { createTransport } = await import('nodemailer')
  return {
    async send (mail, { signal, onHandover }) {
      const transport = createTransport({
        url,
        connectionTimeout: 3_000,
        greetingTimeout: 3_000,
        // RFC 5321 §4.5.3.2.6: ten minutes for the answer after the final dot. What comes before it is aborted earlier.
        socketTimeout: 600_000,
        disableFileAccess: true,
        disableUrlAccess: true
      })
      await watchHandover(transport, onHandover).sendMail({ ...mail, signal })
    },

    failure (error, isHandedOver) {
      const { command = '', permanent = false, responseCode } = error
      // Only answers about this recipient or this mail are final. A server that rejects our address, our password or our
      // connection rejects every mail, until its configuration or ours is changed.
      if (permanent && (command === 'RCPT TO' || command === 'DATA')) return new MailRefused(codesOf(error))
      return isHandedOver && responseCode === undefined ? new MailUnconfirmed(codesOf(error)) : new MailDeferred(codesOf(error))
    }
  }
}

// SES puts a Message-ID of its own in place of ours.
async function ses ({ AWS_REGION, AWS_ENDPOINT_URL }: SenderConfig): Promise<Way> {
  const [{ createTransport }, { SESv2Client, SendEmailCommand }] = await Promise.all([import('nodemailer'), import('@aws-sdk/client-sesv2')])
  const agent = { keepAlive: false, maxSockets: MAX_IN_FLIGHT }
  const client = new SESv2Client({
    region: AWS_REGION,
    ...(AWS_ENDPOINT_URL === undefined ? {} : { endpoint: AWS_ENDPOINT_URL }),
    // The queue repeats. An attempt whose answer was lost may have been a mail: the SDK must not repeat it at once.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 3_000, httpAgent: agent, httpsAgent: agent }
  })
  return {
    async send (mail, { signal, onHandover }) {
      const sesClient = {
        config: client.config,
        send: (command: unknown) => {
          onHandover()
          return client.send(command as InstanceType<typeof SendEmailCommand>, { abortSignal: signal })
        }
      }
      await createTransport({ SES: { sesClient, SendEmailCommand }, disableFileAccess: true, disableUrlAccess: true }).sendMail({ ...mail, signal })
    },

    failure (error) {
      const { name = '', message = '', $metadata } = error
      // SES says "not verified" of a sender, and of every recipient while the account is in its sandbox: as above.
      if (name === 'BadRequestException' || (name === 'MessageRejected' && !/not verified/i.test(message))) return new MailRefused(codesOf(error))
      const isUnanswered = $metadata?.httpStatusCode === undefined && /^(?:AbortError|TimeoutError)$/.test(name) && !/without establishing a connection/.test(message)
      return isUnanswered ? new MailUnconfirmed(codesOf(error)) : new MailDeferred(codesOf(error))
    }
  }
}

/** Lets so many through at a time, in their order. */
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

type SenderConfig = Pick<Config, 'SMTP_URL' | 'AWS_REGION' | 'AWS_ENDPOINT_URL'>

/** The sender that is configured: an SMTP server, or SES where none is. Loaded with the first mail: most processes send none. */
export function createSender ({ config }: { config: SenderConfig }): Sender {
  let loading: Promise<Way> | undefined
  const slots = createSlots(MAX_IN_FLIGHT)

  async function sendNow ({ messageId, to, ...mail }: Mail, deadline: number): Promise<void> {
    const left = deadline - Date.now()
    if (left < MIN_TIME) throw new MailDeferred('no time left')
    loading ??= config.SMTP_URL === undefined ? ses(config) : smtp(config.SMTP_URL)
    const way = await loading

    const stopping = new AbortController()
    const abort = () => { stopping.abort() }
    // Half of a short time: the server shall have the other half for its answer.
    let timer = setTimeout(abort, Math.min(HANDOVER_TIMEOUT, left / 2))
    let isHandedOver = false
    const onHandover = () => {
      isHandedOver = true
      clearTimeout(timer)
      timer = setTimeout(abort, deadline - Date.now())
    }
    // The SMTP envelope, apart from the header: one sender, one recipient.
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
        await sendNow(mail, deadline)
      } finally {
        slots.give()
      }
    }
  }
}
