import type { ALBEvent, APIGatewayProxyEvent, APIGatewayProxyEventV2 } from 'aws-lambda'
import { isObject } from '../shared/is-object.ts'

/** An event with an HTTP request: of a REST API, of an HTTP API or a Function URL, or of a load balancer. */
export type HttpEvent = APIGatewayProxyEvent | APIGatewayProxyEventV2 | ALBEvent

/** Whether an event carries an HTTP request. */
export function isHttp (event: Record<string, unknown>): event is Record<string, unknown> & HttpEvent {
  const context = event['requestContext']
  // An authorizer's event looks like an HTTP request, but its answer would be read as a policy.
  if (!isObject(context) || 'methodArn' in event || 'routeArn' in event) return false
  return typeof event['httpMethod'] === 'string' || (isObject(context['http']) && typeof context['http']['method'] === 'string')
}

/** Whether it is one of an HTTP API or a Function URL. */
export const isV2 = (event: HttpEvent): event is APIGatewayProxyEventV2 => 'http' in event.requestContext
/** Whether it is one of a load balancer. */
export const isAlb = (event: HttpEvent): event is ALBEvent => 'elb' in event.requestContext
