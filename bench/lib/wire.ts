import type { LoadOrder } from './load-order.ts'

// As much HTTP as the load generators need.

/** The requests that an order asks for, as they are sent. */
export function requestsOf ({ url, headers }: Pick<LoadOrder, 'url' | 'headers'>): { hostname: string, port: number, requests: string[] } {
  const { hostname, port, pathname } = new URL(url)
  const requests = headers.map(lines => `GET ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n${Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
  return { hostname, port: Number(port), requests }
}

/** Bytes of the answer at the start of a text; undefined = more is to come. */
export function answerLength (text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return undefined
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
  if (length !== undefined) return text.length >= head + 4 + Number(length) ? head + 4 + Number(length) : undefined
  const end = text.indexOf('\r\n0\r\n\r\n', head)
  return end === -1 ? undefined : end + 7
}
