import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { LOCAL_ACCOUNT, LOCAL_AWS } from './aws.ts'
import { ConfigSchema } from '../src/plugins/config.ts'
import type { Template } from './template.ts'

/** `.env.example`, which `npm run env` generates from the configuration's schema. */
export const ENV_EXAMPLE = new URL('../.env.example', import.meta.url)

/** The root secret of tests and scripts. */
const JWT_SECRET = 'a root secret for tests and scripts that everyone can read'

/**
 * The one complete environment: a copy of `.env.example` with its secret filled in. Tests and scripts override single
 * values; `undefined` removes a value.
 */
export function completeEnv (changes: Record<string, string | undefined> = {}): Record<string, string> {
  const env = { ...parseEnv(readFileSync(ENV_EXAMPLE, 'utf8')), JWT_SECRET, ...changes }
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

interface Engines {
  template: Pick<Template, 'tables' | 'queues' | 'buckets'>
  /** endpoints */
  dynamodb: string
  sqs: string
  /** default: the endpoint of SQS, whose engine has S3 too */
  s3?: string
  smtp: string
}

/**
 * The part of the environment that points to the local engines. Local tables and queues have their logical ids as names,
 * like the examples of their variables, optional ones included, so a new table needs no line here.
 */
export function engineEnv ({ template, dynamodb, sqs, s3 = sqs, smtp }: Engines): Record<string, string> {
  const names = Object.entries(ConfigSchema.properties).flatMap(([name, { examples }]): [string, string][] => {
    const example = String((examples as unknown[])[0])
    if (example in template.tables) return [[name, example]]
    const queue = example.split('/').at(-1)!
    return queue in template.queues ? [[name, `${sqs}/${LOCAL_ACCOUNT}/${queue}`]] : []
  })
  return {
    ...Object.fromEntries(names),
    ...template.buckets,
    AWS_REGION: LOCAL_AWS.region,
    AWS_ENDPOINT_URL_DYNAMODB: dynamodb,
    AWS_ENDPOINT_URL_SQS: sqs,
    AWS_ENDPOINT_URL_S3: s3,
    SMTP_URL: smtp
  }
}
