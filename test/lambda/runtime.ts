import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { buildRuntimeClient, builtRuntimeClient } from '../../scripts/ric.ts'

/** Bytes of an event and of an answer that Lambda passes on. */
const MAX_PAYLOAD = 6_291_556

/** Seconds a function may run, also given in its context. */
const TIMEOUT = 10

/** What the runtime client reported instead of an answer. */
export class FunctionError extends Error {
  override name = 'FunctionError'
  readonly errorType: string
  constructor ({ errorType, errorMessage }: { errorType: string, errorMessage: string }) {
    super(errorMessage)
    this.errorType = errorType
  }
}

export interface Runtime {
  /** One invocation: what the handler returned, as it came over the wire. Rejects with a FunctionError, or when the process ended. */
  invoke (event: unknown): Promise<unknown>
  /** Lines the function wrote so far, standard output and error together. */
  readonly lines: string[]
  /** Resolves when the function waits for its first event. Rejects with the error of its initialisation. */
  readonly ready: Promise<void>
  /** Resolves with the code of the process once it has ended. */
  readonly exited: Promise<number | null>
}

interface Invocation {
  id: string
  body: string
  resolve (result: unknown): void
  reject (error: Error): void
}

/**
 * Lambda's runtime client, where it has been built: the path of its entry. Where it has not, the test is reported as not
 * run; in CI it is built, and a failure if it cannot be.
 */
export async function runtimeClient (t: Test): Promise<string | undefined> {
  if (process.env['CI'] !== 'true') {
    const built = builtRuntimeClient()
    if (built === undefined) t.pass('runs on the runtime client of Lambda', { skip: 'not run: npm run runtime-client builds it, in about a minute' })
    return built
  }
  try {
    return await buildRuntimeClient()
  } catch (error) {
    t.fail(`not run: ${(error as Error).message.replace(/\s+/g, ' ')}`)
    return undefined
  }
}

/**
 * A function on Lambda's runtime client, against a Runtime API as AWS documents it: one process, one event at a time.
 * It has only the environment it is given, and ends with the test.
 */
export async function startRuntime (t: Test, client: string, options: { directory: string, env: Record<string, string | undefined>, handler?: string, traceHeader?: string }): Promise<Runtime> {
  const waiting: Invocation[] = []
  const running = new Map<string, Invocation>()
  let idle: ServerResponse | undefined
  const initialised = Promise.withResolvers<void>()
  initialised.promise.catch(() => {})

  function deliver () {
    if (idle === undefined) return
    const invocation = waiting.shift()
    if (invocation === undefined) return
    running.set(invocation.id, invocation)
    idle.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': invocation.id,
      'lambda-runtime-deadline-ms': String(Date.now() + TIMEOUT * 1000),
      'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:eu-central-1:000000000000:function:user-service',
      ...(options.traceHeader === undefined ? {} : { 'lambda-runtime-trace-id': options.traceHeader })
    })
    idle.end(invocation.body)
    idle = undefined
  }

  const api = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const [, , , what, id = '', outcome] = (request.url ?? '').split('/')
    if (what === 'invocation' && id === 'next') {
      idle = response
      initialised.resolve()
      return deliver()
    }
    if (what === 'init' && id === 'error') {
      initialised.reject(new FunctionError(JSON.parse(body.toString())))
      return response.writeHead(202).end('{}')
    }
    const invocation = running.get(id)
    if (invocation === undefined) return response.writeHead(400).end('{}')
    running.delete(id)
    if (outcome === 'error') {
      invocation.reject(new FunctionError(JSON.parse(body.toString())))
    } else if (body.length > MAX_PAYLOAD) {
      invocation.reject(new FunctionError({ errorType: 'Function.ResponseSizeTooLarge', errorMessage: `Response payload size exceeded maximum allowed payload size (${MAX_PAYLOAD} bytes).` }))
      return response.writeHead(413).end('{}')
    } else {
      invocation.resolve(JSON.parse(body.toString()))
    }
    response.writeHead(202).end('{}')
  })
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')

  const child = spawn(process.execPath, [client], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      TZ: ':UTC',
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(api.address() as AddressInfo).port}`,
      LAMBDA_TASK_ROOT: options.directory,
      _HANDLER: options.handler ?? 'index.handler',
      AWS_LAMBDA_FUNCTION_NAME: 'user-service',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/user-service',
      AWS_LAMBDA_LOG_STREAM_NAME: '2026/01/01/[$LATEST]0',
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      ...options.env
    } as NodeJS.ProcessEnv
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop()!
      lines.push(...parts)
    })
  }
  const exited = once(child, 'close').then(([code]) => {
    const error = new Error(`The function's process ended with ${code}: ${lines.slice(-5).join('\n')}`)
    initialised.reject(error)
    for (const invocation of [...running.values(), ...waiting]) invocation.reject(error)
    return code as number | null
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
    api.closeAllConnections()
    api.close()
  })

  return {
    lines,
    ready: initialised.promise,
    exited,
    async invoke (event) {
      const body = JSON.stringify(event)
      if (Buffer.byteLength(body) > MAX_PAYLOAD) throw new Error('RequestTooLargeException: Lambda does not take an event of this size')
      await initialised.promise
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      waiting.push({ id: randomUUID(), body, resolve, reject })
      deliver()
      return await promise
    }
  }
}
