import { readFileSync } from 'node:fs'
import { isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type Node } from 'yaml'
import type { Pattern } from './filters.ts'

/** `AWS::DynamoDB::Table`, as far as an engine needs it: names and shapes are CreateTable's. */
export interface TableDefinition {
  AttributeDefinitions: { AttributeName: string, AttributeType: 'S' | 'N' | 'B' }[]
  KeySchema: { AttributeName: string, KeyType: 'HASH' | 'RANGE' }[]
  GlobalSecondaryIndexes?: object[]
  TimeToLiveSpecification?: { AttributeName: string, Enabled: boolean }
  StreamSpecification?: { StreamViewType: 'NEW_AND_OLD_IMAGES' | 'NEW_IMAGE' | 'OLD_IMAGE' | 'KEYS_ONLY' }
}

/** `AWS::SQS::Queue`, as far as an engine needs it. */
export interface QueueDefinition {
  /** seconds; SQS's own default is 30 */
  VisibilityTimeout: number
  /** seconds; SQS's own default is four days */
  MessageRetentionPeriod: number
  redrive?: { queue: string, maxReceiveCount: number }
}

/** Event source of a function that reads a table's stream. */
export interface StreamMapping {
  table: string
  batchSize: number
  /** `Infinity` when the template sets none: until the record leaves the stream */
  maximumRetries: number
  bisects: boolean
  reportsItemFailures: boolean
  filters: Pattern[]
  failureQueue?: string
}

/** Event source of a function that reads a queue. */
export interface QueueMapping {
  queue: string
  batchSize: number
  reportsItemFailures: boolean
}

/** What of a deployment the local engines stand in for, by logical id. Local resources are named by their logical ids. */
export interface Template {
  tables: Record<string, TableDefinition>
  queues: Record<string, QueueDefinition>
  streamMappings: StreamMapping[]
  queueMappings: QueueMapping[]
}

interface Resource { Type: string, Properties?: Record<string, unknown> }

/** Properties that an event of a serverless function and an `AWS::Lambda::EventSourceMapping` have in common. */
interface MappingProperties {
  BatchSize?: number
  MaximumRetryAttempts?: number
  BisectBatchOnFunctionError?: boolean
  FunctionResponseTypes?: string[]
  FilterCriteria?: { Filters: { Pattern: string }[] }
  DestinationConfig?: { OnFailure: { Destination: unknown } }
}

/** `!Ref X` as `{Ref: 'X'}`, `!GetAtt X.Arn` as `{'Fn::GetAtt': ['X', 'Arn']}` …: the long form of CloudFormation's tags. */
function untag (tag: string, value: unknown): unknown {
  const name = tag.slice(1)
  if (name === 'Ref' || name === 'Condition') return { [name]: value }
  if (name === 'GetAtt' && typeof value === 'string') return { 'Fn::GetAtt': value.split(/\.(.*)/s).slice(0, 2) }
  return { [`Fn::${name}`]: value }
}

function plain (node: unknown, document: Document): unknown {
  if (isAlias(node)) return plain(node.resolve(document), document)
  let value: unknown
  if (isMap(node)) value = Object.fromEntries(node.items.map(pair => [String((pair.key as { value: unknown }).value), plain(pair.value, document)]))
  else if (isSeq(node)) value = node.items.map(item => plain(item, document))
  else value = isScalar(node) ? node.value : null
  const tag = (node as Node | null)?.tag
  return tag?.startsWith('!') === true ? untag(tag, value) : value
}

/** A CloudFormation template as plain data, with its short tags in their long form. */
export function parseTemplate (text: string): { Resources: Record<string, Resource> } {
  const document = parseDocument(text, { logLevel: 'silent' })
  if (document.errors.length > 0) throw document.errors[0]!
  return plain(document.contents, document) as ReturnType<typeof parseTemplate>
}

/** The logical id in a `Ref` or `Fn::GetAtt`. */
function logicalId (value: unknown): string {
  const { Ref, 'Fn::GetAtt': attribute } = value as { Ref?: string, 'Fn::GetAtt'?: string[] }
  const id = Ref ?? attribute?.[0]
  if (id === undefined) throw new Error(`template: expected a reference to a resource, found ${JSON.stringify(value)}`)
  return id
}

function queueOf (properties: Record<string, unknown>): QueueDefinition {
  const { VisibilityTimeout = 30, MessageRetentionPeriod = 345_600, RedrivePolicy } = properties
  const redrive = RedrivePolicy as { deadLetterTargetArn: unknown, maxReceiveCount: number } | undefined
  return {
    VisibilityTimeout: Number(VisibilityTimeout),
    MessageRetentionPeriod: Number(MessageRetentionPeriod),
    ...(redrive === undefined ? {} : { redrive: { queue: logicalId(redrive.deadLetterTargetArn), maxReceiveCount: redrive.maxReceiveCount } })
  }
}

function streamMappingOf (table: string, properties: MappingProperties): StreamMapping {
  const { BatchSize = 100, MaximumRetryAttempts = -1, BisectBatchOnFunctionError = false, FunctionResponseTypes = [], FilterCriteria, DestinationConfig } = properties
  return {
    table,
    batchSize: BatchSize,
    maximumRetries: MaximumRetryAttempts === -1 ? Infinity : MaximumRetryAttempts,
    bisects: BisectBatchOnFunctionError,
    reportsItemFailures: FunctionResponseTypes.includes('ReportBatchItemFailures'),
    filters: (FilterCriteria?.Filters ?? []).map(({ Pattern }) => JSON.parse(Pattern) as Pattern),
    ...(DestinationConfig === undefined ? {} : { failureQueue: logicalId(DestinationConfig.OnFailure.Destination) })
  }
}

function queueMappingOf (queue: string, { BatchSize = 10, FunctionResponseTypes = [] }: MappingProperties): QueueMapping {
  return { queue, batchSize: BatchSize, reportsItemFailures: FunctionResponseTypes.includes('ReportBatchItemFailures') }
}

/** Sources of a function's events: `[logical id of table or queue, properties]`. */
function sourcesOf ({ Type, Properties = {} }: Resource): [source: string, properties: MappingProperties][] {
  if (Type === 'AWS::Lambda::EventSourceMapping') return [[logicalId(Properties['EventSourceArn']), Properties as MappingProperties]]
  if (Type !== 'AWS::Serverless::Function') return []
  const events = Object.values((Properties['Events'] ?? {}) as Record<string, { Type: string, Properties: MappingProperties & { Stream?: unknown, Queue?: unknown } }>)
  return events.filter(event => event.Type === 'DynamoDB' || event.Type === 'SQS')
    .map(event => [logicalId(event.Properties.Stream ?? event.Properties.Queue), event.Properties])
}

/**
 * Tables, queues and event-source mappings as `template.yaml` has them: the one source of keys, indexes, redrive
 * policies, batch sizes and filters. A source that two functions read under different conditions counts once.
 */
export function readTemplate (file: string | URL = new URL('../template.yaml', import.meta.url)): Template {
  const { Resources } = parseTemplate(readFileSync(file, 'utf8'))
  const template: Template = { tables: {}, queues: {}, streamMappings: [], queueMappings: [] }
  for (const [id, { Type, Properties = {} }] of Object.entries(Resources)) {
    if (Type === 'AWS::DynamoDB::Table') template.tables[id] = Properties as unknown as TableDefinition
    if (Type === 'AWS::SQS::Queue') template.queues[id] = queueOf(Properties)
  }
  const seen = new Set<string>()
  for (const [source, properties] of Object.values(Resources).flatMap(sourcesOf)) {
    if (seen.has(source)) continue
    seen.add(source)
    if (source in template.tables) template.streamMappings.push(streamMappingOf(source, properties))
    if (source in template.queues) template.queueMappings.push(queueMappingOf(source, properties))
  }
  if (seen.size === 0) Object.assign(template, UNTIL_THE_TEMPLATE_HAS_FUNCTIONS)
  return template
}

const UNTIL_THE_TEMPLATE_HAS_FUNCTIONS = {
  streamMappings: ['UsersTable', 'AuthTable'].map(table => ({
    table,
    batchSize: 10,
    maximumRetries: 5,
    bisects: true,
    reportsItemFailures: true,
    filters: [{ eventName: ['INSERT'], dynamodb: { NewImage: { kind: { S: ['outbox'] } } } }],
    failureQueue: 'RelayFailureQueue'
  })),
  queueMappings: [{ queue: 'EmailQueue', batchSize: 10, reportsItemFailures: true }]
}
