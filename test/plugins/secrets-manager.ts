import { randomBytes } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import '../credentials.ts'
import type { Test } from '../engines.ts'

export const ARN = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:jwt'
export const CODE_ARN = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:code'

export const newSecret = () => randomBytes(32).toString('hex')

/** As much of Secrets Manager as GetSecretValue needs: two stages, over HTTP. */
export async function startSecretsManager (t: Test) {
  const manager = {
    env: { JWT_SECRET_ARN: ARN, AWS_ENDPOINT_URL: '' },
    stages: { AWSCURRENT: newSecret() } as Record<string, string | undefined>,
    /** the stages that were asked for … */
    asked: [] as string[],
    /** … and of which secrets */
    secrets: [] as string[],
    headers: {} as IncomingHttpHeaders,
    /** a stage that may not be read */
    denied: undefined as string | undefined,
    /** a stage that is answered late, and whether it has been */
    late: undefined as string | undefined,
    isLateAnswered: false,
    code: newSecret(),
    answers: 'well' as 'well' | 'badly' | 'never',
    connections: () => new Promise<number>((resolve, reject) => { server.getConnections((error, count) => { if (error === null) resolve(count); else reject(error) }) }),
    rotate () { Object.assign(manager.stages, { AWSPREVIOUS: manager.stages['AWSCURRENT'], AWSCURRENT: newSecret() }) }
  }
  // It closes no connection by itself.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    let body = ''
    request.on('data', chunk => { body += chunk })
    request.on('end', () => {
      const { SecretId, VersionStage } = JSON.parse(body)
      manager.asked.push(VersionStage)
      manager.secrets.push(SecretId)
      manager.headers = request.headers
      if (manager.answers === 'never') return
      const value = SecretId === ARN ? manager.stages[VersionStage] : VersionStage === 'AWSCURRENT' ? manager.code : undefined
      const answer = () => {
        response.setHeader('content-type', 'application/x-amz-json-1.1')
        if (manager.answers === 'badly' || manager.denied === VersionStage) response.writeHead(400).end(JSON.stringify({ __type: 'AccessDeniedException', message: 'no' }))
        else if (value === undefined) response.writeHead(400).end(JSON.stringify({ __type: 'ResourceNotFoundException', message: 'no such stage' }))
        else response.end(JSON.stringify({ ARN, SecretString: value, VersionStages: [VersionStage] }))
      }
      if (manager.late !== VersionStage) return answer()
      setTimeout(() => { answer(); manager.isLateAnswered = true }, 100)
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  manager.env.AWS_ENDPOINT_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return manager
}
