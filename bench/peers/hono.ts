import { Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { jwt } from 'hono/jwt'
import { validator } from 'hono/validator'
import { correlationIdOf, created, HEALTH, isNewUser, JWT_SECRET, readUser, refused, register } from './work.ts'

export const app = new Hono()

app.get('/health', context => context.json(HEALTH))

app.get('/users/me', jwt({ secret: JWT_SECRET, alg: 'HS256' }), async context => {
  const { sub } = context.get('jwtPayload') as { sub: string }
  return context.json(await readUser(sub))
})

app.post('/users', validator('json', (body, context) => isNewUser(body) ? body : context.json(refused('Invalid input'), 400)), async context => {
  const correlationId = correlationIdOf(context.req.header('x-correlation-id'))
  const user = await register(context.req.valid('json'), correlationId)
  context.header('x-correlation-id', correlationId)
  return context.json(created(user), 201)
})

app.onError((error, context) => {
  if (error instanceof HTTPException) return error.getResponse()
  console.error(error)
  return context.json(refused('Internal server error'), 500)
})
