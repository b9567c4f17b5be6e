import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda'
import { correlationIdOf, created, HEALTH, isNewUser, refused, register } from '../work.ts'

// The article's function: no framework and one purpose. It is the base of the cold starts. The static route was added, as
// the base of other static routes.

function answer (statusCode: number, body: object, correlationId: string): APIGatewayProxyResult {
  return { statusCode, headers: { 'Content-Type': 'application/json', 'X-Correlation-Id': correlationId }, body: JSON.stringify(body) }
}

export async function handler (event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> {
  const correlationId = correlationIdOf(event.headers['x-correlation-id'])
  try {
    if (event.httpMethod === 'GET' && event.path === '/health') return answer(200, HEALTH, correlationId)
    const body = JSON.parse(event.body ?? '{}') as unknown
    if (!isNewUser(body)) return answer(400, refused('Invalid input'), correlationId)
    return answer(201, created(await register(body, correlationId)), correlationId)
  } catch (error) {
    console.error(JSON.stringify({ level: 'error', service: 'user-service', correlationId, error: (error as Error).message, stack: (error as Error).stack }))
    return answer(500, refused('Internal server error'), correlationId)
  }
}
