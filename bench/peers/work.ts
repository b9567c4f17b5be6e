import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'

// The work that is the same for every peer: one conditional put, one message, one cached record. Each framework adds its own
// way to parse, validate, authenticate and answer.

export interface NewUser { email: string, name: string }
export interface User extends NewUser { userId: string }

/** The article's timeouts and attempts. */
const options = { maxAttempts: 3, requestHandler: { connectionTimeout: 3000, requestTimeout: 3000 } }
const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient(options))
const sqs = new SQSClient(options)

/** The article's pattern of an address. */
export const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/

/** The check by hand, of frameworks that have no validator of their own. */
export function isNewUser (body: unknown): body is NewUser {
  const { email, name } = (body ?? {}) as Partial<Record<string, unknown>>
  return typeof email === 'string' && EMAIL.test(email) && typeof name === 'string' && name.trim().length >= 2
}

/** The schema, for frameworks that have one. */
export const newUserSchema = {
  type: 'object',
  required: ['email', 'name'],
  properties: {
    email: { type: 'string', pattern: EMAIL.source },
    name: { type: 'string', minLength: 2 }
  }
} as const

export async function register ({ email, name }: NewUser, correlationId: string): Promise<User> {
  const userId = randomUUID()
  const now = new Date().toISOString()
  const address = email.toLowerCase()
  await dynamodb.send(new PutCommand({
    TableName: process.env['BENCH_TABLE'],
    Item: { userId, email: address, name, status: 'PENDING_VERIFICATION', createdAt: now, updatedAt: now },
    ConditionExpression: 'attribute_not_exists(userId)'
  }))
  await sqs.send(new SendMessageCommand({
    QueueUrl: process.env['BENCH_QUEUE_URL'],
    MessageBody: JSON.stringify({ type: 'WELCOME_EMAIL', userId, email: address, name }),
    MessageAttributes: { correlationId: { DataType: 'String', StringValue: correlationId } }
  }))
  return { userId, email: address, name }
}

/** The correlation id of a request: the client's, or a new one. */
export const correlationIdOf = (header: string | undefined): string => header ?? randomUUID()

export const created = (user: User) => ({ success: true, data: user })
export const refused = (error: string) => ({ success: false, error })

/** The static route's answer. */
export const HEALTH = { status: 'ok' }

/** HS256, the common choice. It costs less to verify than this service's EdDSA. */
export const JWT_SECRET = process.env['JWT_SECRET']!

const cache = new Map<string, object>()

/** The cached read of a profile. The first read fills the cache, so that every later one is a lookup. */
export async function readUser (userId: string): Promise<object> {
  let user = cache.get(userId)
  if (user === undefined) {
    user = { userId, email: 'ada@example.com', name: 'Ada Lovelace', status: 'ACTIVE', createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z' }
    cache.set(userId, user)
  }
  return user
}

/** Of Fastify's serializers. */
export const userSchema = {
  type: 'object',
  properties: { userId: { type: 'string' }, email: { type: 'string' }, name: { type: 'string' }, status: { type: 'string' }, createdAt: { type: 'string' }, updatedAt: { type: 'string' } }
} as const
export const createdSchema = {
  type: 'object',
  properties: { success: { type: 'boolean' }, data: { type: 'object', properties: { userId: { type: 'string' }, email: { type: 'string' }, name: { type: 'string' } } } }
} as const
export const healthSchema = { type: 'object', properties: { status: { type: 'string' } } } as const
