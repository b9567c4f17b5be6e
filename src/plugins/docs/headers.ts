import { CORRELATION_ID_PATTERN, EXAMPLE_ID } from '../../shared/ids.ts'
import type { Schema } from './readable.ts'

const text = (description: string, example: string, limits: Schema = {}) => ({ description, schema: { type: 'string', maxLength: 256, pattern: '^[ -~]*$', ...limits, examples: [example] } })
const count = (description: string, example: number) => ({ description, schema: { type: 'integer', minimum: 0, maximum: 2_147_483_647, examples: [example] } })

/** The headers of every version's answers. */
export const HEADERS = {
  'x-correlation-id': text('Identifies this request in logs, messages and events', EXAMPLE_ID, { maxLength: 64, pattern: CORRELATION_ID_PATTERN.source }),
  'access-control-allow-origin': text('The origin of the web page, if it may call this service', 'https://app.example.com'),
  'ratelimit-policy': text('The limit of this kind of request for one client: its name, requests (`q`) in a window of seconds (`w`)', '"general";q=100;w=60'),
  ratelimit: text('What is left of that limit: requests (`r`) until the window ends, in seconds (`t`)', '"general";r=99;t=60'),
  'ratelimit-limit': count('The limit, for clients of earlier drafts: requests in a window', 100),
  'ratelimit-remaining': count('Requests left in this window, for clients of earlier drafts', 99),
  'ratelimit-reset': count('Seconds until the window ends, for clients of earlier drafts', 60),
  'retry-after': count('Seconds to wait before retrying', 5),
  'www-authenticate': text('How to authenticate, RFC 6750', 'Bearer realm="user-service"')
}

/** Those of version 1 alone. */
export const HEADERS_V1 = {
  deprecation: text('Date since which this version is deprecated, RFC 9745', '@1795305600'),
  sunset: text('Date on which this version ends, RFC 8594', 'Fri, 31 Dec 2027 00:00:00 GMT'),
  link: text('The version that replaces this one', '</openapi/v2.json>; rel="successor-version"')
}

/** On the answers to requests that are limited. */
export const LIMIT_HEADERS = ['ratelimit-policy', 'ratelimit', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset']

/** On every response. The second one only for the web pages of the configured origins. */
export const COMMON_HEADERS = ['x-correlation-id', 'access-control-allow-origin']

/** Names of headers that are not just their words with capital letters. */
const HEADER_NAMES: Record<string, string> = { etag: 'ETag', 'www-authenticate': 'WWW-Authenticate' }

/** A header's name as its RFC writes it, which linters look for: `ratelimit-limit` is `RateLimit-Limit`. */
const headerName = (name: string) => HEADER_NAMES[name] ?? name.replace(/(?<=^|-)[a-z]/g, letter => letter.toUpperCase()).replace('Ratelimit', 'RateLimit')

/** Headers under the names of their RFCs. */
export const namedHeaders = (headers: Record<string, object>) => Object.fromEntries(Object.entries(headers).map(([name, header]) => [headerName(name), header]))
/** References to headers among the components. */
export const headerReferences = (names: string[]) => Object.fromEntries(names.map(headerName).map(name => [name, { $ref: `#/components/headers/${name}` }]))
