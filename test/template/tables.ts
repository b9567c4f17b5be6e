import { existsSync, globSync, readFileSync } from 'node:fs'
import { ConfigSchema } from '../../src/plugins/config.ts'
import { resourcesOf, type Template } from './evaluate.ts'
import { grantsOf, roleOf } from './iam.ts'

/** Names of IAM actions by what a repository is written with. Reads and writes of a transaction are authorised one by one. */
const ACTIONS: [pattern: RegExp, action: string][] = [
  [/\bnew GetCommand\b|\bGet: \{/, 'GetItem'],
  [/\bnew PutCommand\b|\bPut: /, 'PutItem'],
  [/\bnew UpdateCommand\b|\bUpdate: \{/, 'UpdateItem'],
  [/\bnew DeleteCommand\b|\bDelete: \{/, 'DeleteItem'],
  // A query of an index is authorised for the index.
  [/\bnew QueryCommand\b(?!\(\{[^{}]*\bIndexName\b)/, 'Query'],
  [/\bnew ScanCommand\b/, 'Scan'],
  [/\bnew BatchGetCommand\b/, 'BatchGetItem'],
  [/\bnew BatchWriteCommand\b/, 'BatchWriteItem'],
  [/\bConditionCheck: \{/, 'ConditionCheckItem']
]

/** The outbox of a table, which a module's door opens: entries are put, read and removed, and found through its index. */
const OUTBOX = /\boutbox\.open\(/
const OUTBOX_ACTIONS = ['GetItem', 'PutItem', 'DeleteItem']

/** What a repository and its module's door call: actions on its table, and whether it has an outbox there. */
export function callsOf (source: string): { actions: string[], hasOutbox: boolean } {
  const hasOutbox = OUTBOX.test(source)
  const called = ACTIONS.filter(([pattern]) => pattern.test(source)).map(([, action]) => action)
  return { actions: [...new Set([...called, ...hasOutbox ? OUTBOX_ACTIONS : []])].sort(), hasOutbox }
}

/** What a module does when an account is deleted, and the entry by which the module of accounts announces it. */
const ERASES = /\.follow\('user\.deleted'|^ {2}'user\.deleted': /m

const folderOf = (variable: string) => `src/modules/${variable.replace(/_TABLE$/, '').toLowerCase().replaceAll('_', '-')}`
export const readSource = (file: string) => existsSync(file) ? readFileSync(file, 'utf8') : undefined

/**
 * What is missing between the tables of a template, the configuration and the code, each with the file to open.
 *
 * @param variables names of the configuration
 * @param read the source of a file, `undefined` when it is not there
 */
export function tableFaults (template: Template, variables: string[] = Object.keys(ConfigSchema.properties), read: (file: string) => string | undefined = readSource): string[] {
  const tables = resourcesOf(template, 'AWS::DynamoDB::Table')
  const environment = template.Globals?.['Function'].Environment.Variables as Record<string, { Ref?: string }>
  const grants = grantsOf(template, roleOf(template, 'ApiFunction'))
  const mapped = resourcesOf(template, 'AWS::Lambda::EventSourceMapping').map(([, { Properties }]) => JSON.stringify(Properties['EventSourceArn']))
  const faults: string[] = []

  for (const variable of variables.filter(name => name.endsWith('_TABLE'))) {
    if (!tables.some(([id]) => environment[variable]?.Ref === id)) faults.push(`template.yaml: ${variable} names no table under Globals.Function.Environment`)
    const repository = `${folderOf(variable)}/repository.ts`
    if (read(repository) === undefined) faults.push(`${repository} is not there: what is ${variable} for?`)
  }

  for (const [id, { Properties, Metadata }] of tables) {
    const [variable] = Object.entries(environment).find(([, value]) => value?.Ref === id) ?? []
    if (variable === undefined) {
      faults.push(`template.yaml: no variable under Globals.Function.Environment is !Ref ${id}`)
      continue
    }
    if (!variables.includes(variable)) faults.push(`src/plugins/config.ts: ConfigSchema has no ${variable}`)
    const folder = folderOf(variable)
    const file = `${folder}/repository.ts`
    const source = read(file)
    if (source === undefined) continue
    const reason = Metadata?.['NoPersonalData']
    // A module that may not use that of accounts has another one call it.
    const eraser = Metadata?.['ErasedBy'] as string | undefined
    if (eraser !== undefined && !(ERASES.test(read(eraser) ?? '') && read(eraser)!.includes(`${variable.replace(/_TABLE$/, '').toLowerCase()}.forget(`))) faults.push(`template.yaml: ErasedBy of ${id} names ${eraser}, which does not call the module's forget when an account is deleted`)
    const erases = eraser !== undefined || ['events', 'index', 'schemas'].some(role => ERASES.test(read(`${folder}/${role}.ts`) ?? ''))
    if (!erases && reason === undefined) faults.push(`${folder}/events.ts: nothing follows user.deleted: erase there what ${id} holds of an account, or say under its Metadata.NoPersonalData in template.yaml why it holds nothing`)
    if (erases && reason !== undefined) faults.push(`template.yaml: ${id} says that it holds no personal data, and ${folder} erases some of it`)
    // A module may have further repositories of the same table, such as directory-repository.ts.
    const sources = [source, ...[...globSync(`${folder}/*-repository.ts`), `${folder}/index.ts`].map(path => read(path) ?? '')]
    const { actions, hasOutbox } = callsOf(sources.join('\n'))
    if (actions.length === 0) faults.push(`${file}: no call of DynamoDB was found in it, look at ACTIONS in test/template/tables.ts`)
    for (const action of actions) {
      if (grants[id]?.includes(`dynamodb:${action}`) !== true) faults.push(`template.yaml: ApiFunctionRole does not allow dynamodb:${action} on ${id}, which ${file} calls`)
    }
    for (const { IndexName } of (Properties['GlobalSecondaryIndexes'] ?? []) as { IndexName: string }[]) {
      if (IndexName !== 'outbox' && sources.some(text => text.includes(`'${IndexName}'`)) && grants[`${id}/index/${IndexName}`]?.includes('dynamodb:Query') !== true) faults.push(`template.yaml: ApiFunctionRole does not allow dynamodb:Query on the index ${IndexName} of ${id}`)
    }
    if (!hasOutbox) continue
    if (grants[`${id}/index/outbox`]?.includes('dynamodb:Query') !== true) faults.push(`template.yaml: ApiFunctionRole does not allow dynamodb:Query on the outbox index of ${id}`)
    if (Properties['StreamSpecification'] === undefined) faults.push(`template.yaml: ${id} has an outbox and no stream`)
    else if (!mapped.includes(JSON.stringify({ 'Fn::GetAtt': [id, 'StreamArn'] }))) faults.push(`template.yaml: no AWS::Lambda::EventSourceMapping reads the stream of ${id}`)
    if (grants[`${id}/stream`] === undefined) faults.push(`template.yaml: ApiFunctionRole may not read the stream of ${id}`)
  }
  return faults
}
