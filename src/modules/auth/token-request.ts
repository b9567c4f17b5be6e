import type { FastifyRequest } from 'fastify'
import type { Tokens } from './contract.ts'
import { deviceOf } from './device.ts'
import type { TokenRequest } from './schemas.ts'

/** Answers a request for tokens, as both versions do, and notes in its audit fields which grant it was and whose. */
export async function createTokens ({ server, body, id, headers, audit }: Pick<FastifyRequest, 'server' | 'id' | 'headers' | 'audit'> & { body: TokenRequest }): Promise<Tokens> {
  audit['grant'] = body.grantType
  return await server.auth.createTokens(body, id, deviceOf(headers['user-agent']), who => Object.assign(audit, who))
}
