import type { Transporter } from 'nodemailer'
import type { Config } from '../../plugins/config.ts'
import { MailRefused } from './errors.ts'

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

type SenderConfig = Pick<Config, 'SMTP_URL' | 'AWS_REGION' | 'AWS_ENDPOINT_URL'>

/** Where mails go. */
export interface Sender {
  /** Resolves once the mail has been taken. Throws EMAIL_REFUSED. */
  send (mail: Mail): Promise<void>
  close (): void
}

/**
 * Milliseconds until an attempt is given up, whatever it waits for, a free connection included: a batch of ten ends
 * within the 10 s of the function that embeds the worker, and its failures can still be reported.
 */
const SEND_TIMEOUT = 8_000

async function smtpTransport (url: string): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  return createTransport({
    url,
    pool: true,
    maxConnections: 5,
    // A kept connection that the server has closed is tried once more on a new one; everything else the queue repeats.
    maxRequeues: 1,
    connectionTimeout: 3_000,
    greetingTimeout: 3_000,
    socketTimeout: 5_000,
    disableFileAccess: true,
    disableUrlAccess: true
  })
}

// SES puts a Message-ID of its own in place of ours.
async function sesTransport ({ AWS_REGION, AWS_ENDPOINT_URL }: SenderConfig): Promise<Transporter> {
  const [{ createTransport }, { SESv2Client, SendEmailCommand }] = await Promise.all([import('nodemailer'), import('@aws-sdk/client-sesv2')])
  const sesClient = new SESv2Client({
    region: AWS_REGION,
    ...(AWS_ENDPOINT_URL === undefined ? {} : { endpoint: AWS_ENDPOINT_URL }),
    // The queue repeats. An attempt whose answer was lost may have been a mail: the SDK must not repeat it at once.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 3_000, requestTimeout: SEND_TIMEOUT, throwOnRequestTimeout: true }
  })
  const transport = createTransport({ SES: { sesClient, SendEmailCommand }, disableFileAccess: true, disableUrlAccess: true })
  transport.close = () => sesClient.destroy()
  return transport
}

// An SMTP error's message quotes the server's answer, and with it the address. The codes are all that is safe to tell.
function refusal (error: unknown): Error {
  const { code, name, responseCode } = error as { code?: string, name?: string, responseCode?: number }
  return new MailRefused([code === 'ESES' ? name : code ?? name, responseCode].filter(part => part !== undefined).join(' '))
}

/** The sender that is configured: an SMTP server, or SES where none is. Loaded with the first mail: most processes send none. */
export function createSender (config: SenderConfig): Sender {
  let transport: Promise<Transporter> | undefined

  return {
    async send ({ messageId, to, ...mail }) {
      transport ??= config.SMTP_URL === undefined ? sesTransport(config) : smtpTransport(config.SMTP_URL)
      const open = await transport
      try {
        await open.sendMail({
          ...mail,
          to,
          messageId: `<${messageId}>`,
          // What the SMTP server is told, apart from the header: one sender, one recipient.
          envelope: { from: mail.from.address, to: [to.address] },
          signal: AbortSignal.timeout(SEND_TIMEOUT)
        })
      } catch (error) {
        throw refusal(error)
      }
    },

    close () {
      transport?.then(open => open.close(), () => {})
    }
  }
}
