import express, { type NextFunction, type Request, type Response } from 'express'
import jwt from 'jsonwebtoken'
import { correlationIdOf, created, HEALTH, isNewUser, JWT_SECRET, readUser, refused, register } from './work.ts'

export const app = express()
app.disable('x-powered-by')
app.use(express.json())

app.get('/health', (_request, response) => { response.json(HEALTH) })

function authenticate (request: Request, response: Response, next: NextFunction) {
  try {
    response.locals['user'] = jwt.verify((request.headers.authorization ?? '').slice(7), JWT_SECRET, { algorithms: ['HS256'] })
    next()
  } catch {
    response.status(401).json(refused('Unauthorized'))
  }
}

app.get('/users/me', authenticate, async (_request, response) => {
  const { sub } = response.locals['user'] as { sub: string }
  response.json(await readUser(sub))
})

app.post('/users', async (request, response) => {
  const correlationId = correlationIdOf(request.get('x-correlation-id'))
  const body = request.body as unknown
  if (!isNewUser(body)) {
    response.status(400).json(refused('Invalid input'))
    return
  }
  const user = await register(body, correlationId)
  response.status(201).set('x-correlation-id', correlationId).json(created(user))
})

app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
  console.error(error)
  response.status(500).json(refused('Internal server error'))
})
