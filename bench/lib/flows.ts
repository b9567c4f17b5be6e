import type { InjectOptions } from 'fastify'
import type { TestApp } from '../../test/app.ts'
import type { Engines } from '../../test/engines.ts'
import { pump } from '../../test/pump.ts'
import { BenchError } from './bench.ts'
import { createMeter, type Usage } from './meter.ts'

export type Request = InjectOptions & { method: string, url: string }

/** What a request asked of AWS before it was answered, and what the outbox and the worker asked for it later. */
export interface Flow<T> {
  body: T
  answer: Usage
  /** undefined = not measured */
  later: Usage | undefined
}

export interface FlowOptions {
  /** the status that the request must get; default 200 */
  status?: number
  /** whether to do what follows from the request too; default true */
  drains?: boolean
}

/** Makes requests one after the other, each with the work that it leaves to the outbox and the worker. */
export function createFlows (app: TestApp, engines: Engines) {
  const meter = createMeter(app, engines)
  return {
    /** @throws {BenchError} when the answer has another status */
    async measure<T> (request: Request, { status = 200, drains = true }: FlowOptions = {}): Promise<Flow<T>> {
      meter.take()
      const response = await app.inject(request)
      if (response.statusCode !== status) throw new BenchError(`${request.method} ${request.url} answers ${response.statusCode}: ${response.body.slice(0, 200)}`)
      const answer = meter.take()
      if (drains) await pump(app, engines)
      return { body: (response.body === '' ? undefined : response.json()) as T, answer, later: drains ? meter.take() : undefined }
    },
    stop: meter.destroy
  }
}
