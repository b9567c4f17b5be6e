import type { IncomingMessage, ServerResponse } from 'node:http'
import type { MailDev } from 'maildev'

// maildev 3.0 shows a mail in a frame that may not open windows, so links in mails do nothing.
const FRAME = 'sandbox:"allow-same-origin"'
const FRAME_WITH_LINKS = 'sandbox:"allow-same-origin allow-popups allow-popups-to-escape-sandbox"'

/** Makes links in mails open in a new tab when clicked in the inbox. Call it once the inbox has started. */
export function makeLinksClickable (maildev: MailDev): void {
  const { server } = maildev.getServers()!.api!.server
  const handlers = server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[]
  const pass = (request: IncomingMessage, response: ServerResponse) => { for (const handler of handlers) handler(request, response) }

  async function sendScript (request: IncomingMessage, response: ServerResponse) {
    const original = await fetch(`http://${request.headers.host}${request.url}`, { headers: { 'x-original': 'yes' } })
    const script = (await original.text()).replace(FRAME, FRAME_WITH_LINKS)
    response.writeHead(original.status, { 'content-type': 'text/javascript; charset=utf-8' }).end(script)
  }

  server.removeAllListeners('request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (request.headers['x-original'] !== undefined || !/\/assets\/index-[^/]+\.js$/.test(request.url ?? '')) return pass(request, response)
    sendScript(request, response).catch(() => pass(request, response))
  })
}
