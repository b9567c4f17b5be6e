/** A request, in one form for every source of events. */
export interface AppRequest {
  method: string
  /** path and query, percent-encoded */
  target: string
  /** names in lower case; repeated headers joined as Node joins them */
  headers: Record<string, string | string[] | undefined>
  body: Buffer | null
  /** of the client, as AWS saw it */
  address: string
  /** whether the source reads cookies from a list of their own, as an HTTP API does */
  isV2: boolean
}

/** The answer to every kind of HTTP event; each source uses the fields that it knows. */
export interface HttpAnswer {
  statusCode: number
  headers?: Record<string, string>
  multiValueHeaders?: Record<string, string[]>
  cookies?: string[]
  body: string
  isBase64Encoded: boolean
}

/** Passes a request to the app. The answer has none of the headers below. Rejects when the app gives no answer. */
export type Serve = (request: AppRequest) => Promise<HttpAnswer>

// Everything that is not text is binary. An answer without a content type is empty, so it does not matter.
const TEXT = /^(?:text\/|application\/(?:[a-z.-]+\+)?(?:json|xml|javascript)\b)/

/** Whether the body of an answer with these headers is passed to AWS in base64. */
export function isBinary ({ 'content-encoding': encoding, 'content-type': type }: Record<string, string | undefined>): boolean {
  return encoding !== undefined || (type !== undefined && !TEXT.test(type))
}

/** Hop-by-hop headers (RFC 9110 §7.6.1) belong to a connection, and Lambda has none. */
export const HOP_BY_HOP: readonly string[] = ['connection', 'keep-alive', 'transfer-encoding']
