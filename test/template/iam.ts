import { globSync } from 'node:fs'
import { join } from 'node:path'
import { resourcesOf, type Template } from './evaluate.ts'

/** What a function may do: actions by the resource they are allowed on, in the template's words. */
export type Grants = Record<string, string[]>

/** What a module says about its own table in `test/modules/<module>/permissions.ts`. Those that share a table or a bucket are below. */
export interface Permissions {
  used: Grants
  /** tables whose streams the API function reads */
  streams: string[]
  /** Requests of a user who has signed in: they make the module call everything that it may. */
  use: (ask: (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) => Promise<{ json<T> (): T }>) => Promise<void>
}

const MODULES_DIR = join(import.meta.dirname, '../modules')

/** What modules say about themselves. */
export const MODULES: Permissions[] = await Promise.all(globSync('*/permissions.ts', { cwd: MODULES_DIR }).sort().map(async file =>
  (await import(join(MODULES_DIR, file)) as { PERMISSIONS: Permissions }).PERMISSIONS))

/** Grants that are there for Lambda alone although the action is also one of ours. */
const SERVICE_GRANTS: Grants = { RelayFailureQueue: ['sqs:SendMessage'] }

const union = (...all: Grants[]): Grants => {
  const grants: Grants = {}
  for (const [resource, actions] of all.flatMap(Object.entries)) grants[resource] = [...new Set([...grants[resource] ?? [], ...actions as string[]])]
  return grants
}

/** What the code behind HTTP, streams and schedule calls. */
const API: Grants = union({
  UsersTable: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem', 'dynamodb:ConditionCheckItem', 'dynamodb:BatchGetItem'],
  'UsersTable/index/list': ['dynamodb:Query'],
  'UsersTable/index/status': ['dynamodb:Query'],
  'UsersTable/index/outbox': ['dynamodb:Query'],
  AuthTable: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem', 'dynamodb:ConditionCheckItem', 'dynamodb:Query'],
  'AuthTable/index/outbox': ['dynamodb:Query'],
  UploadsBucket: ['s3:ListBucket'],
  'UploadsBucket/incoming/*': ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
  'UploadsBucket/avatars/*': ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
  // What receipts say about addresses, in the table of the e-mail module.
  EmailTable: ['dynamodb:PutItem', 'dynamodb:DeleteItem'],
  EmailQueue: ['sqs:SendMessage', 'sqs:GetQueueAttributes'],
  EventBus: ['events:PutEvents'],
  RootSecret: ['secretsmanager:GetSecretValue'],
  CodeSecret: ['secretsmanager:GetSecretValue']
}, ...MODULES.map(({ used }) => used))

/** What the e-mail worker calls. SES authorises the one call, SendEmail with a raw message, under both names. */
const WORKER: Grants = {
  EmailTable: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:DeleteItem'],
  EmailQueue: ['sqs:ChangeMessageVisibility', 'sqs:SendMessage'],
  'ses:identity/SesIdentity': ['ses:SendEmail', 'ses:SendRawEmail'],
  'ses:configuration-set/MailConfigurationSet': ['ses:SendEmail', 'ses:SendRawEmail'],
  CodeSecret: ['secretsmanager:GetSecretValue']
}

/** The actions that our own code takes, by function and by where the e-mail worker is. A recording of SDK calls is held against it. */
export const USED: Record<'embedded' | 'extracted', Record<string, Grants>> = {
  embedded: { ApiFunction: union(API, WORKER) },
  extracted: { ApiFunction: API, EmailFunction: WORKER }
}

/** What Lambda needs besides. */
export const SERVED: Record<'embedded' | 'extracted', Record<string, Grants>> = (() => {
  const streams = ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator', 'dynamodb:ListStreams']
  const logs = ['logs:CreateLogStream', 'logs:PutLogEvents']
  const tables = ['UsersTable', 'AuthTable', ...MODULES.flatMap(module => module.streams)]
  const api: Grants = { ...SERVICE_GRANTS, ApiFunctionLogs: logs, ...Object.fromEntries(tables.map(table => [`${table}/stream`, streams])), MailReceiptsQueue: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'] }
  // The mapping asks for the queue's attributes as well.
  const receive: Grants = { EmailQueue: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'] }
  return { embedded: { ApiFunction: union(api, receive) }, extracted: { ApiFunction: api, EmailFunction: union({ EmailFunctionLogs: logs }, receive) } }
})()

/** A policy's resource in words: the logical id, with what follows it in the ARN. */
function nameOf (resource: unknown): string {
  if (typeof resource === 'string') return resource
  const { Ref, 'Fn::GetAtt': attribute, 'Fn::Sub': sub } = resource as { Ref?: string, 'Fn::GetAtt'?: [string, string], 'Fn::Sub'?: string }
  if (Ref !== undefined) return Ref
  if (attribute !== undefined) return attribute[1] === 'StreamArn' ? `${attribute[0]}/stream` : attribute[0]
  const text = String(sub)
  const ses = /:ses:.*:(identity|configuration-set)\/\$\{(\w+)\}$/.exec(text)
  return ses === null ? text.replace(/\$\{(\w+)(?:\.Arn)?\}/, '$1') : `ses:${ses[1]!}/${ses[2]!}`
}

interface Statement { Effect: string, Action: string | string[], Resource: unknown }

/** What a role's own policies allow, in an evaluated template. */
export function grantsOf (template: Template, roleId: string): Grants {
  const policies = (template.Resources[roleId]?.Properties['Policies'] ?? []) as { PolicyDocument: { Statement: Statement[] } }[]
  const grants: Grants = {}
  for (const { Effect, Action, Resource } of policies.flatMap(policy => policy.PolicyDocument.Statement)) {
    if (Effect !== 'Allow') continue
    for (const name of [Resource].flat().map(nameOf)) grants[name] = [...new Set([...grants[name] ?? [], ...[Action].flat()])].sort()
  }
  return grants
}

/** What of the first the second has not. */
export function missing (wanted: Grants, given: Grants): string[] {
  return Object.entries(wanted).flatMap(([resource, actions]) => actions.filter(action => !(given[resource] ?? []).includes(action)).map(action => `${action} on ${resource}`)).sort()
}

/** A function's execution role, by logical ids. */
export function roleOf (template: Template, functionId: string): string {
  const role = template.Resources[functionId]?.Properties['Role'] as { 'Fn::GetAtt': [string, string] } | undefined
  if (role === undefined) throw new Error(`${functionId} has no role of its own`)
  return role['Fn::GetAtt'][0]
}

// Each with its reason: there is no resource to name, or AWS takes no narrower one.
const UNNAMEABLE = ['xray:PutTraceSegments', 'xray:PutTelemetryRecords', 'cloudwatch:DescribeAlarms', 'cloudwatch:PutMetricData', 's3:ListAllMyBuckets', 'secretsmanager:GetRandomPassword']

/** Permissions that say `*` where a name could stand. */
export function wildcardFaults (template: Template): string[] {
  return resourcesOf(template, 'AWS::IAM::Role').flatMap(([id, { Properties }]) => {
    const policies = (Properties['Policies'] ?? []) as { PolicyDocument: { Statement: Statement[] } }[]
    return policies.flatMap(policy => policy.PolicyDocument.Statement).filter(({ Effect }) => Effect === 'Allow').flatMap(({ Action, Resource }) => {
      const actions = [Action].flat()
      const faults = actions.filter(action => action.includes('*')).map(action => `${id} allows ${action}`)
      if ([Resource].flat().includes('*')) faults.push(...actions.filter(action => !UNNAMEABLE.includes(action)).map(action => `${id} allows ${action} on everything`))
      return faults
    })
  })
}
