import { Agent, createServer, request as send, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP, type ListenOptions, Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'

// Any web page that is open in a browser on this machine can send requests to its ports. The servers here are only for
// this machine, so requests from foreign pages are rejected. They are recognised by their Host, which is the page's own
// name after DNS rebinding, and by their Origin or Sec-Fetch-Site, which browsers always send.

export interface GuardOptions {
  /** host names that requests may use for this server, besides those of the loopback interface */
  hosts?: string[]
  /** whether any IP address is allowed as Host: DNS rebinding needs a name */
  allowsAddresses?: boolean
  /** whether the server itself checks pages of other origins: the API does, by CORS_ORIGIN */
  allowsForeignOrigins?: boolean
  /** pages that may use the paths under a prefix (a bucket's), as a bucket's CORS rules allow it on AWS */
  pages?: { origins: readonly string[], prefix: string }[]
}

/** The events by which a request can arrive. */
const REQUESTS = ['request', 'upgrade', 'checkContinue', 'checkExpectation', 'connect']

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** A Host header without its port, in lower case. */
const nameOf = (host: string): string => host.toLowerCase().replace(/:\d*$/, '')

// A name without a dot belongs to this machine or its network, for example a container. Public DNS has no such names.
const isPublicName = (name: string): boolean => name.includes('.') || name.includes(':')

const isAddress = (name: string): boolean => isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0

interface Request { method?: string | undefined, url?: string | undefined, headers: IncomingHttpHeaders }

/** Whether a path is the prefix or below it. */
const isUnder = (url: string, prefix: string): boolean => url.startsWith(prefix) && /^[/?]?$/.test(url.charAt(prefix.length))

/** The origin of a page that may use this path. */
function allowedOrigin ({ url = '', headers: { origin = '' } }: Request, { pages = [] }: GuardOptions): string | undefined {
  return pages.some(({ origins, prefix }) => isUnder(url, prefix) && origins.includes(origin)) ? origin : undefined
}

/** Whether a page shows a picture by a signed link: it can know such a link only from the service, and cannot read the picture. */
function isPicture ({ method, url = '', headers }: Request, { pages = [] }: GuardOptions): boolean {
  const isLink = method === 'GET' && url.includes('X-Amz-Signature=') && pages.some(({ prefix }) => isUnder(url, prefix))
  return isLink && headers.origin === undefined && headers['sec-fetch-dest'] === 'image'
}

/** The reason for rejecting a request, in one line; `undefined` when it is allowed. */
function refusal (request: Request, options: GuardOptions): string | undefined {
  const { method, headers } = request
  const { hosts = [], allowsAddresses = false, allowsForeignOrigins = false } = options
  const { host, origin } = headers
  // A request without Host does not come from a browser.
  const name = host === undefined ? undefined : nameOf(host)
  if (name !== undefined && isPublicName(name) && !LOOPBACK.includes(name) && !hosts.includes(name) && !(allowsAddresses && isAddress(name))) return `Host ${name} is not a name of this server`
  if (allowsForeignOrigins || allowedOrigin(request, options) !== undefined || isPicture(request, options)) return undefined
  if (origin !== undefined && origin !== `http://${host}`) return `pages of ${origin} may not use this server`
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = headers
  const isFollowedLink = method === 'GET' && mode === 'navigate' && destination === 'document'
  if ((site === 'cross-site' || site === 'same-site') && !isFollowedLink) return 'pages of other origins may not use this server'
  return undefined
}

/** Makes a server reject requests of foreign web pages with 403 and one line with the reason. Call it before the server listens. */
export function guard (server: Server, options: GuardOptions = {}): void {
  const emit = server.emit as (event: string, ...args: unknown[]) => boolean
  // Listeners change, and socket.io puts its own first, so the check runs before all of them.
  server.emit = function (this: Server, event: string, ...args: unknown[]): boolean {
    if (!REQUESTS.includes(event)) return emit.call(this, event, ...args)
    const [request, answer] = args as [IncomingMessage, ServerResponse | Duplex]
    const reason = refusal(request, options)
    if (reason === undefined) {
      const origin = allowedOrigin(request, options)
      if (origin === undefined || !('setHeader' in answer)) return emit.call(this, event, ...args)
      answer.setHeader('access-control-allow-origin', origin)
      answer.setHeader('vary', 'Origin')
      if (request.method !== 'OPTIONS') return emit.call(this, event, ...args)
      answer.writeHead(204, { 'access-control-allow-methods': 'GET, POST', 'access-control-allow-headers': String(request.headers['access-control-request-headers'] ?? ''), 'access-control-max-age': '600' }).end()
      return true
    }
    const body = `Refused: ${reason.slice(0, 200)}\n`
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(Buffer.byteLength(body)), 'x-content-type-options': 'nosniff', connection: 'close' }
    if ('writeHead' in answer) answer.writeHead(403, headers).end(body)
    else answer.end(`HTTP/1.1 403 Forbidden\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`)
    return true
  } as Server['emit']
}

/**
 * Runs `start` and calls `prepare` for each server that starts to listen meanwhile, with its listen options, which
 * `prepare` may change. The engines' packages have no option for it.
 */
export async function onListen<T> (prepare: (server: NetServer, options: ListenOptions) => void, start: () => Promise<T>): Promise<T> {
  const { listen } = NetServer.prototype
  NetServer.prototype.listen = function (this: NetServer, ...args: unknown[]) {
    const [first, second] = args
    if (typeof first === 'object' && first !== null) prepare(this, first)
    else {
      const options: ListenOptions = { port: Number(first), ...(typeof second === 'string' ? { host: second } : {}) }
      prepare(this, options)
      args.splice(0, typeof second === 'string' ? 2 : 1, options)
    }
    return (listen as (...args: unknown[]) => NetServer).apply(this, args)
  } as typeof listen
  try {
    return await start()
  } finally {
    NetServer.prototype.listen = listen
  }
}

export interface Guarded {
  stop (): Promise<void>
}

/** A guarding proxy in front of a server in another process: listens on loopback and passes allowed requests on. */
export async function startGuard ({ port, target, ...options }: GuardOptions & { port: number, target: { host: string, port: number } }): Promise<Guarded> {
  const agent = new Agent({ keepAlive: true })
  const server = createServer((request, response) => {
    const { method, url, headers } = request
    const passed = send({ ...target, agent, method, path: url, headers })
    passed.once('response', answer => {
      response.writeHead(answer.statusCode!, answer.rawHeaders)
      answer.pipe(response)
    })
    // The engine has ended. The client gets the same broken connection as without the proxy.
    passed.once('error', () => request.destroy())
    response.once('close', () => passed.destroy())
    request.pipe(passed)
  })
  guard(server, options)
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, '127.0.0.1', resolve) })
  return {
    async stop () {
      const closed = new Promise(resolve => { server.close(resolve) })
      server.closeAllConnections()
      await closed
      agent.destroy()
    }
  }
}
