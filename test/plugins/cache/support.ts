import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { completeEnv } from '../../../local/env.ts'
import { startRedis, type RedisEngine } from '../../../local/redis.ts'
import breakers from '../../../src/plugins/breakers.ts'
import cache, { type Cache } from '../../../src/plugins/cache/index.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import { createLogger } from '../../../src/plugins/logging.ts'
import metrics from '../../../src/plugins/metrics.ts'
import { until } from '../../until.ts'

export interface Person { id: string, name: string, version: number }

export const isPerson = (id: string) => (value: unknown): value is Person => {
  const person = value as Person | null
  return typeof person === 'object' && person?.id === id && typeof person.name === 'string' && typeof person.version === 'number'
}

/** A process with a cache, ready. */
export async function openApp (t: Test, env: Record<string, string> = {}, lines: string[] = []) {
  const settings = loadConfig(completeEnv(env))
  const app = Fastify({ loggerInstance: createLogger(settings, { write: line => { lines.push(line) } }) })
  await app.register(config, { config: settings })
  await app.register(metrics)
  await app.register(breakers)
  await app.register(cache)
  await app.ready()
  t.teardown(() => app.close())
  if (app.cache.shared) await until(async () => await app.cache.ping() !== undefined)
  return app as Omit<typeof app, 'then'>
}

/** A process's cache: one of these each for two instances of the service. */
export async function openCache (t: Test, env: Record<string, string> = {}, lines: string[] = []): Promise<Cache> {
  return (await openApp(t, env, lines)).cache
}

export async function openRedis (t: Test): Promise<RedisEngine> {
  const redis = await startRedis()
  t.teardown(() => redis.stop('SIGKILL'))
  return redis
}

/** A client that sees what the service stored, and can poison it. */
export function rawClient (t: Test, url: string): Redis {
  const client = new Redis(url)
  t.teardown(() => client.disconnect())
  return client
}

/** Stands for the table: it always knows the last write, and takes its time to tell. */
export function createTable (latencyMs = 2) {
  const rows = new Map<string, Person>()
  const table = {
    reads: 0,
    get: (id: string) => async (): Promise<Person | undefined> => {
      table.reads++
      const row = rows.get(id) // what it says is true of the moment it was asked
      await sleep(latencyMs)
      return row
    },
    set (person: Person) { rows.set(person.id, person) },
    delete (id: string) { rows.delete(id) }
  }
  return table
}
