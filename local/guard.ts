import { Agent, createServer, request as send, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP, type ListenOptions, Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'

// Any web page that is open in a browser of this machine can send requests to its ports. What is served here is for this
// machine alone, so a request that a foreign page made is refused: by its Host, which is the page's own name where that
// name was pointed at 127.0.0.1 (DNS rebinding), and by its Origin or Sec-Fetch-Site, which browsers always send.

export interface GuardOptions {
  /** names that a request may call this server by, besides those of the loopback interface */
  hosts?: string[]
  /** whether any IP address will do: no name server can point one elsewhere */
  allowsAddresses?: boolean
  /** whether pages of other origins are left to the server: the API has CORS_ORIGIN for them */
  allowsForeignOrigins?: boolean
}

/** The events that a request can arrive as. */
const REQUESTS = ['request', 'upgrade', 'checkContinue', 'checkExpectation', 'connect']

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** A Host header without its port, in lower case. */
const nameOf = (host: string): string => host.toLowerCase().replace(/:\d*$/, '')

// A name without a dot is of this machine or its network (a container's, say): no public name server has it.
const isPublicName = (name: string): boolean => name.includes('.') || name.includes(':')

const isAddress = (name: string): boolean => isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0

/** Why a request is refused, in one line; `undefined` when it is not. */
function refusal ({ method, headers }: { method?: string | undefined, headers: IncomingHttpHeaders }, { hosts = [], allowsAddresses = false, allowsForeignOrigins = false }: GuardOptions): string | undefined {
  const { host, origin } = headers
  // Without one it is no browser's.
  const name = host === undefined ? undefined : nameOf(host)
  if (name !== undefined && isPublicName(name) && !LOOPBACK.includes(name) && !hosts.includes(name) && !(allowsAddresses && isAddress(name))) return `Host ${name} is not a name of this server`
  if (allowsForeignOrigins) return undefined
  if (origin !== undefined && origin !== `http://${host}`) return `pages of ${origin} may not use this server`
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = headers
  const isFollowedLink = method === 'GET' && mode === 'navigate' && destination === 'document'
  if ((site === 'cross-site' || site === 'same-site') && !isFollowedLink) return 'pages of other origins may not use this server'
  return undefined
}

/** Makes a server answer requests that foreign web pages made with 403 and one line that says why. To be called before it listens. */
export function guard (server: Server, options: GuardOptions = {}): void {
  const emit = server.emit as (event: string, ...args: unknown[]) => boolean
  // Listeners come and go, socket.io puts its own in front: a request is looked at before any of them.
  server.emit = function (this: Server, event: string, ...args: unknown[]): boolean {
    if (!REQUESTS.includes(event)) return emit.call(this, event, ...args)
    const [request, answer] = args as [IncomingMessage, ServerResponse | Duplex]
    const reason = refusal(request, options)
    if (reason === undefined) return emit.call(this, event, ...args)
    const body = `Refused: ${reason.slice(0, 200)}\n`
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(Buffer.byteLength(body)), 'x-content-type-options': 'nosniff', connection: 'close' }
    if ('writeHead' in answer) answer.writeHead(403, headers).end(body)
    else answer.end(`HTTP/1.1 403 Forbidden\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`)
    return true
  } as Server['emit']
}

/**
 * Runs `start`. Each server that begins to listen meanwhile is shown to `prepare` first, with where it is going to
 * listen, which `prepare` may change: the engines' packages have no other way in.
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

/** A guard in front of a server that is another process: listens on loopback and passes on what it does not refuse. */
export async function startGuard ({ port, target, ...options }: GuardOptions & { port: number, target: { host: string, port: number } }): Promise<Guarded> {
  const agent = new Agent({ keepAlive: true })
  const server = createServer((request, response) => {
    const { method, url, headers } = request
    const passed = send({ ...target, agent, method, path: url, headers })
    passed.once('response', answer => {
      response.writeHead(answer.statusCode!, answer.rawHeaders)
      answer.pipe(response)
    })
    // The engine is gone: what its client then sees of us is what it would see of it.
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
