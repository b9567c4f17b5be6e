import type { User } from '../../clients/typescript/src/index.ts'
import { UsageError } from '../command.ts'

/** The options of all verbs. */
export interface Options {
  json: boolean
  dryRun: boolean
  yes: boolean
  restart: boolean
  status: User['status'] | undefined
  limit: number
  out: string | undefined
  format: string | undefined
  as: string | undefined
}

/** @throws {UsageError} when a value is none that an option can have */
export function optionsOf (values: Record<string, string | boolean | undefined>): Options {
  const text = (name: string) => values[name] as string | undefined
  const status = text('status')
  if (status !== undefined && !['PENDING_VERIFICATION', 'ACTIVE', 'SUSPENDED'].includes(status)) throw new UsageError('--status is PENDING_VERIFICATION, ACTIVE or SUSPENDED')
  const limit = Number(text('limit') ?? 20)
  if (!Number.isInteger(limit) || limit < 1) throw new UsageError('--limit is not a whole number from 1 on')
  return {
    json: values['json'] === true,
    dryRun: values['dry-run'] === true,
    yes: values['yes'] === true,
    restart: values['restart'] === true,
    status: status as User['status'] | undefined,
    limit,
    out: text('out'),
    format: text('format'),
    as: text('as')
  }
}
