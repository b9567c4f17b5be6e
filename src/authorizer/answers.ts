import type { APIGatewayAuthorizerResult, APIGatewayRequestAuthorizerEventV2, APIGatewayRequestAuthorizerEvent, APIGatewaySimpleAuthorizerWithContextResult, APIGatewayTokenAuthorizerEvent } from 'aws-lambda'
import type { AccessClaims } from '../plugins/jwt.ts'
import { isObject } from '../shared/is-object.ts'
import type { Verify } from './verifier.ts'

/** What a service behind the gateway gets as `event.requestContext.authorizer`; from an HTTP API as its member `lambda`. */
export type AuthorizerContext = Pick<AccessClaims, 'userId' | 'email' | 'role' | 'sid'>

type TokenEvent = APIGatewayTokenAuthorizerEvent
type RequestEvent = APIGatewayRequestAuthorizerEvent
type HttpApiEvent = APIGatewayRequestAuthorizerEventV2
type PolicyAnswer = APIGatewayAuthorizerResult & { context: AuthorizerContext }
type SimpleAnswer = { isAuthorized: false } | APIGatewaySimpleAuthorizerWithContextResult<AuthorizerContext>

const contextOf = ({ userId, email, role, sid }: AccessClaims): AuthorizerContext => ({ userId, email, role, sid })

/**
 * Every method and path of the stage. The gateway caches the policy by token, for all methods: one that named only the
 * method of the first request would deny the next ones.
 */
function stageOf (methodArn: string): string {
  const [api, stage] = methodArn.split('/')
  if (api === undefined || stage === undefined || !api.startsWith('arn:')) throw new Error('The event names no method of an API')
  return `${api}/${stage}/*`
}

/** The one Authorization header of a REST request, whatever the case of its name. */
function authorizationOf ({ multiValueHeaders, headers }: RequestEvent): string | undefined {
  const named = <T>(all: Record<string, T> | null | undefined) => Object.entries(all ?? {}).filter(([name]) => name.toLowerCase() === 'authorization').map(([, value]) => value)
  const values = multiValueHeaders == null ? named(headers) : named(multiValueHeaders).flat()
  return values.length === 1 ? values[0] : undefined
}

/**
 * The handler of a Lambda authorizer, for each way in which API Gateway asks: TOKEN and REQUEST authorizers of REST APIs,
 * which get an IAM policy, and HTTP APIs with payload format 2.0 and simple answers.
 */
export function createAuthorizer (verify: Verify) {
  async function policy (methodArn: string, authorization: string | undefined): Promise<PolicyAnswer> {
    const claims = await verify(authorization)
    // API Gateway answers 401 for this message, and 500 for every other one.
    if (claims === undefined) throw new Error('Unauthorized')
    return {
      principalId: claims.userId,
      policyDocument: { Version: '2012-10-17', Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: stageOf(methodArn) }] },
      context: contextOf(claims)
    }
  }

  return async function authorize (event: unknown): Promise<PolicyAnswer | SimpleAnswer> {
    if (isObject(event) && event['type'] === 'TOKEN') {
      const { methodArn, authorizationToken } = event as unknown as TokenEvent
      return await policy(methodArn, authorizationToken)
    }
    if (isObject(event) && event['type'] === 'REQUEST' && event['version'] === '2.0') {
      // Header names are in lower case, and repeated headers are joined with commas, which no token contains.
      const { headers } = event as unknown as HttpApiEvent
      const claims = await verify(headers?.['authorization'])
      return claims === undefined ? { isAuthorized: false } : { isAuthorized: true, context: contextOf(claims) }
    }
    if (isObject(event) && event['type'] === 'REQUEST' && 'methodArn' in event) {
      const request = event as unknown as RequestEvent
      return await policy(request.methodArn, authorizationOf(request))
    }
    throw new Error('The event is none of an authorizer: expected a TOKEN or REQUEST event of a REST API, or payload format 2.0 of an HTTP API')
  }
}
