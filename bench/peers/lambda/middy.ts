import middy from '@middy/core'
import httpErrorHandler from '@middy/http-error-handler'
import httpJsonBodyParser from '@middy/http-json-body-parser'
import httpRouter from '@middy/http-router'
import validator from '@middy/validator'
import { transpileSchema } from '@middy/validator/transpile'
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda'
import jwt from 'jsonwebtoken'
import { correlationIdOf, created, HEALTH, JWT_SECRET, newUserSchema, readUser, register, type NewUser } from '../work.ts'

const answer = (statusCode: number, body: object): APIGatewayProxyResult => ({ statusCode, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

const createUser = middy()
  .use(httpJsonBodyParser())
  .use(validator({ eventSchema: transpileSchema({ type: 'object', required: ['body'], properties: { body: newUserSchema } }) }))
  .handler(async event => {
    const { body, headers } = event as { body: unknown, headers: APIGatewayProxyEvent['headers'] }
    return answer(201, created(await register(body as NewUser, correlationIdOf(headers['x-correlation-id']))))
  })

const getUser = async (event: APIGatewayProxyEvent) => {
  const { sub } = jwt.verify((event.headers['authorization'] ?? '').slice(7), JWT_SECRET, { algorithms: ['HS256'] }) as { sub: string }
  return answer(200, await readUser(sub))
}

export const handler = middy()
  .use(httpErrorHandler())
  .handler(httpRouter([
    { method: 'GET', path: '/health', handler: async () => answer(200, HEALTH) },
    { method: 'GET', path: '/users/me', handler: getUser as never },
    { method: 'POST', path: '/users', handler: createUser as never }
  ]) as never)
