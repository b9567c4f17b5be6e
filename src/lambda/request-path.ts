import type { ALBEvent } from 'aws-lambda'
import { isAlb, isV2, type HttpEvent } from './http-event.ts'

/** The path without the stage. An HTTP API puts the stage in front, unless it is the default stage or has a custom domain. */
export function withoutStage (event: HttpEvent): string {
  if (!isV2(event)) return event.path
  const { rawPath, requestContext: { stage, domainName } } = event
  return domainName.includes('.execute-api.') && rawPath.startsWith(`/${stage}/`) ? rawPath.slice(stage.length + 1) : rawPath
}

function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const withoutSlash = (text: string) => text.endsWith('/') ? text.slice(0, -1) : text

const parts = new Map<string, string[]>()
/** A resource of the API, split at its parameters. An API has few resources. */
function partsOf (resource: string): string[] {
  let known = parts.get(resource)
  if (known === undefined) parts.set(resource, known = resource.split(/\{([^}+]+)\+?\}/))
  return known
}

/**
 * The part of a path that the event's resource describes. With `/{proxy+}` and its parameter, that is the path after the
 * base path of a custom domain. `undefined` when the event does not contain it.
 */
function describedPath (path: string, event: Exclude<HttpEvent, ALBEvent>): string | undefined {
  const resource = isV2(event) ? /^\S+ (\/\S*)$/.exec(event.routeKey)?.[1] : event.resource
  if (typeof resource !== 'string') return undefined
  let whole = ''
  // Every second part is the name of a parameter.
  for (const [index, part] of partsOf(resource).entries()) {
    const text = index % 2 === 0 ? part : event.pathParameters?.[part]
    // Events written by hand, for a test, may lack the parameters.
    if (text === undefined) return undefined
    whole += text
  }
  const filled = withoutSlash(whole)
  // An AWS hostname has no base path, so the whole path matches first.
  for (let start = 0; start !== -1; start = path.indexOf('/', start + 1)) {
    const rest = withoutSlash(path.slice(start))
    if (decoded(rest) === filled || decoded(rest) === decoded(filled)) return path.slice(start)
  }
  return filled === '' ? '/' : undefined
}

/** The path without the base path (REST API) or API mapping (HTTP API) that a custom domain puts in front. */
export function withoutBasePath (path: string, event: HttpEvent, publicPath: string): string {
  if (isAlb(event)) return path
  const described = describedPath(path, event)
  if (described !== undefined) return described
  // A catch-all route does not describe the path, so the path of PUBLIC_URL is removed. Not for an AWS hostname, where
  // PUBLIC_URL ends in the stage.
  const isCustom = !/\.(?:execute-api|lambda-url)\./.test(event.requestContext.domainName ?? '.execute-api.')
  if (!isCustom || !(path === publicPath || path.startsWith(`${publicPath}/`))) return path
  return path.slice(publicPath.length) || '/'
}

/** The path as the client wrote it, as far as it is known. Every source passes it on percent-encoded, except an HTTP API, which decodes it. */
export function pathOf (event: HttpEvent, publicPath: string): string {
  const isDecoded = isV2(event) && !event.requestContext.domainName.includes('.lambda-url.')
  const given = withoutBasePath(withoutStage(event), event, publicPath)
  const path = isDecoded ? encodeURI(given) : given
  if (!path.startsWith('/')) throw new URIError('The path does not start with a slash')
  return path
    // Characters that a URL parser would read as the end of the path, or change.
    .replace(/[\\?#\s]/g, encodeURIComponent)
    // Dot segments are escaped too, because the plain server does not resolve them either.
    .replace(/(?<=\/)(?:\.|%2e){1,2}(?=\/|$)/gi, dots => dots.replace(/\.|%2e/gi, '%252e'))
}
