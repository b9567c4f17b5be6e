import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type Node } from 'yaml'
import type { Pattern } from './filters.ts'

/** The parts of `AWS::DynamoDB::Table` that an engine needs, with the names and shapes of CreateTable. */
export interface TableDefinition {
  AttributeDefinitions: { AttributeName: string, AttributeType: 'S' | 'N' | 'B' }[]
  KeySchema: { AttributeName: string, KeyType: 'HASH' | 'RANGE' }[]
  GlobalSecondaryIndexes?: object[]
  TimeToLiveSpecification?: { AttributeName: string, Enabled: boolean }
  StreamSpecification?: { StreamViewType: 'NEW_AND_OLD_IMAGES' | 'NEW_IMAGE' | 'OLD_IMAGE' | 'KEYS_ONLY' }
}

/** The parts of `AWS::SQS::Queue` that an engine needs. */
export interface QueueDefinition {
  /** seconds; the default of SQS is 30 */
  VisibilityTimeout: number
  /** seconds; the default of SQS is four days */
  MessageRetentionPeriod: number
  redrive?: { queue: string, maxReceiveCount: number }
}

/** The event-source mapping of a table's stream. */
export interface StreamMapping {
  table: string
  batchSize: number
  /** `Infinity` when the template sets none: retried until the record leaves the stream */
  maximumRetries: number
  bisects: boolean
  reportsItemFailures: boolean
  filters: Pattern[]
  failureQueue?: string
  /** milliseconds that the function has for a batch */
  timeout: number
}

/** The event-source mapping of a queue. */
export interface QueueMapping {
  queue: string
  batchSize: number
  reportsItemFailures: boolean
  /** milliseconds that the function has for a batch */
  timeout: number
}

/** The rule that passes a bucket's new objects to a function. */
export interface BucketMapping {
  /** the local name */
  bucket: string
  prefix: string
  /** the rule's input transformer */
  input: { paths: Record<string, string>, template: string }
  /** of the function's asynchronous invocations */
  maximumRetries: number
  failureQueue?: string
  /** milliseconds that the function has for an invocation */
  timeout: number
}

/** The parts of a deployment that the local engines replace, by logical id. Local resources have their logical ids as names. */
export interface Template {
  tables: Record<string, TableDefinition>
  queues: Record<string, QueueDefinition>
  /** local names of buckets, by the variables that functions get them in */
  buckets: Record<string, string>
  streamMappings: StreamMapping[]
  queueMappings: QueueMapping[]
  bucketMappings: BucketMapping[]
  /** milliseconds between two sweeps of the outboxes, and the timeout of one */
  sweep: { interval: number, timeout: number }
}

interface Resource { Type: string, Properties?: Record<string, unknown> }

/** The parts of `AWS::Lambda::EventSourceMapping` that are used here. The maximum record age is ignored, so that records survive the sleep of a laptop. */
interface MappingProperties {
  FunctionName?: unknown
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

/** Parses a CloudFormation template into plain data, with short tags in their long form. */
export function parseTemplate (text: string): { Globals?: { Function?: { Timeout?: number, Environment?: { Variables?: Record<string, unknown> } } }, Resources: Record<string, Resource> } {
  const document = parseDocument(text, { logLevel: 'silent' })
  if (document.errors.length > 0) throw document.errors[0]!
  return plain(document.contents, document) as ReturnType<typeof parseTemplate>
}

/**
 * Reads a template's file. Parsing `template.yaml` takes 0.4 s, which every start and every test file would spend again, so
 * the result is kept beside it, in `.cache`, with the hash of what it was made from.
 */
export function readResources (file: string | URL = new URL('../template.yaml', import.meta.url)): ReturnType<typeof parseTemplate> {
  const path = file instanceof URL ? fileURLToPath(file) : file
  const text = readFileSync(path, 'utf8')
  const hash = createHash('sha256').update(text).update(readFileSync(import.meta.filename)).digest('hex')
  const cache = join(dirname(path), '.cache', `${basename(path)}.json`)
  try {
    const kept = JSON.parse(readFileSync(cache, 'utf8')) as { hash: string, parsed: ReturnType<typeof parseTemplate> }
    if (kept.hash === hash) return kept.parsed
  } catch {
    // There is none yet, or it cannot be read.
  }
  const parsed = parseTemplate(text)
  try {
    mkdirSync(dirname(cache), { recursive: true })
    writeFileSync(`${cache}.${process.pid}`, JSON.stringify({ hash, parsed }))
    renameSync(`${cache}.${process.pid}`, cache) // at once, because several processes may read and write it
  } catch {
    // The folder cannot be written to; the next process parses again.
  }
  return parsed
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

function streamMappingOf (table: string, properties: MappingProperties, timeout: number): StreamMapping {
  const { BatchSize = 100, MaximumRetryAttempts = -1, BisectBatchOnFunctionError = false, FunctionResponseTypes = [], FilterCriteria, DestinationConfig } = properties
  return {
    table,
    batchSize: BatchSize,
    maximumRetries: MaximumRetryAttempts === -1 ? Infinity : MaximumRetryAttempts,
    bisects: BisectBatchOnFunctionError,
    reportsItemFailures: FunctionResponseTypes.includes('ReportBatchItemFailures'),
    filters: (FilterCriteria?.Filters ?? []).map(({ Pattern }) => JSON.parse(Pattern) as Pattern),
    ...(DestinationConfig === undefined ? {} : { failureQueue: logicalId(DestinationConfig.OnFailure.Destination) }),
    timeout
  }
}

function queueMappingOf (queue: string, { BatchSize = 10, FunctionResponseTypes = [] }: MappingProperties, timeout: number): QueueMapping {
  return { queue, batchSize: BatchSize, reportsItemFailures: FunctionResponseTypes.includes('ReportBatchItemFailures'), timeout }
}

/** The function that a reference points to. Of an `If`, the second branch: locally no condition holds, and no module is extracted. */
function functionOf (reference: unknown): string {
  const { 'Fn::If': branches, Ref } = reference as { 'Fn::If'?: [string, unknown, unknown], Ref?: string }
  return branches === undefined ? (Ref ?? logicalId(reference)).replace(/\..*$/, '') : functionOf(branches[2])
}

/** The local name of a bucket: `uploads-bucket` for `UploadsBucket`, because S3 allows no capital letters. */
const bucketName = (id: string): string => id.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()

interface BucketRule {
  EventPattern: { source: string[], detail: { bucket: { name: unknown[] }, object: { key: [{ prefix: string }] } } }
  Targets: [{ Arn: unknown, InputTransformer: { InputPathsMap: Record<string, string>, InputTemplate: string } }]
}

interface InvokeConfig { MaximumRetryAttempts?: number, DestinationConfig?: { OnFailure?: { Destination: unknown } } }

function bucketMappingOf ({ EventPattern: { detail }, Targets: [{ InputTransformer }] }: BucketRule, { MaximumRetryAttempts = 2, DestinationConfig }: InvokeConfig, timeout: number): BucketMapping {
  const onFailure = DestinationConfig?.OnFailure
  return {
    bucket: bucketName(logicalId(detail.bucket.name[0])),
    prefix: detail.object.key[0].prefix,
    input: { paths: InputTransformer.InputPathsMap, template: InputTransformer.InputTemplate },
    maximumRetries: MaximumRetryAttempts,
    ...(onFailure === undefined ? {} : { failureQueue: logicalId(onFailure.Destination) }),
    timeout
  }
}

/** `rate(5 minutes)` in milliseconds. */
function rateOf (expression: string): number {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? []
  if (unit === undefined) throw new Error(`template: expected a schedule like rate(5 minutes), found ${expression}`)
  return Number(count) * { minute: 60_000, hour: 3_600_000, day: 86_400_000 }[unit]!
}

/**
 * Reads tables, queues, buckets, event-source mappings and the sweeper's schedule from `template.yaml`, the one source of keys,
 * indexes, redrive policies, batch sizes and filters.
 */
export function readTemplate (file?: string | URL): Template {
  const { Globals, Resources } = readResources(file)
  /** milliseconds; the default of Lambda is three seconds */
  const timeoutOf = (reference: unknown) => 1000 * Number(Resources[functionOf(reference)]?.Properties?.['Timeout'] ?? Globals?.Function?.Timeout ?? 3)
  const all = Object.entries(Resources).map(([id, { Type, Properties = {} }]) => ({ id, Type, Properties }))
  const ofType = (type: string) => all.filter(({ Type }) => Type === type)
  const tables = Object.fromEntries(ofType('AWS::DynamoDB::Table').map(({ id, Properties }) => [id, Properties as unknown as TableDefinition]))
  const queues = Object.fromEntries(ofType('AWS::SQS::Queue').map(({ id, Properties }) => [id, queueOf(Properties)]))
  const mappings = ofType('AWS::Lambda::EventSourceMapping').map(({ Properties }) => ({ source: logicalId(Properties['EventSourceArn']), Properties }))
  const rules = ofType('AWS::Events::Rule').map(({ Properties }) => Properties)
  const uploads = (rules as unknown as BucketRule[]).filter(({ EventPattern }) => (EventPattern as Partial<BucketRule['EventPattern']> | undefined)?.source?.includes('aws.s3') === true)
  const isBucket = (value: unknown): value is { Ref: string } => Resources[(value as { Ref?: string } | null)?.Ref ?? '']?.Type === 'AWS::S3::Bucket'
  const buckets = Object.entries(Globals?.Function?.Environment?.Variables ?? {}).flatMap(([variable, value]) => isBucket(value) ? [[variable, bucketName(value.Ref)] as const] : [])
  const invokeConfigOf = (reference: unknown) => (Resources[functionOf(reference)]?.Properties?.['EventInvokeConfig'] ?? {}) as InvokeConfig
  const [schedule] = rules.map(Properties => Properties as { ScheduleExpression?: string, Targets?: { Arn: unknown }[] }).filter(({ ScheduleExpression }) => ScheduleExpression !== undefined)
  return {
    tables,
    queues,
    buckets: Object.fromEntries(buckets),
    bucketMappings: uploads.map(rule => bucketMappingOf(rule, invokeConfigOf(rule.Targets[0].Arn), timeoutOf(rule.Targets[0].Arn))),
    streamMappings: mappings.filter(({ source }) => source in tables).map(({ source, Properties }) => streamMappingOf(source, Properties, timeoutOf(Properties['FunctionName']))),
    queueMappings: mappings.filter(({ source }) => source in queues).map(({ source, Properties }) => queueMappingOf(source, Properties, timeoutOf(Properties['FunctionName']))),
    sweep: { interval: rateOf(String(schedule?.ScheduleExpression)), timeout: timeoutOf(schedule?.Targets?.[0]?.Arn) }
  }
}
