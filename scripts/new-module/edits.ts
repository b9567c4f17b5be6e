import { Failure } from '../command.ts'
import { rename, type Names } from './names.ts'

// What a module writes into files that exist: texts beside texts that must be there once. The tests of test/house count the files.

/** A change of a text, and its undoing. Both throw when the text looks different. */
export interface Edit {
  apply (text: string): string
  revert (text: string): string
}

const short = (text: string) => JSON.stringify(text.trim().split('\n')[0]!.slice(0, 80))

function once (text: string, wanted: string): number {
  const times = text.split(wanted).length - 1
  if (times !== 1) throw new Failure(`${short(wanted)} is there ${times === 0 ? 'no more' : `${times} times, and not once`}`)
  return text.indexOf(wanted)
}

const insertAt = (text: string, index: number, inserted: string) => text.slice(0, index) + inserted + text.slice(index)

function insertion (inserted: string, place: (text: string) => number): Edit {
  return {
    apply (text) {
      if (text.includes(inserted)) throw new Failure(`${short(inserted)} is there already`)
      return insertAt(text, place(text), inserted)
    },
    revert (text) {
      const index = once(text, inserted)
      return text.slice(0, index) + text.slice(index + inserted.length)
    }
  }
}

type Make = (inserted: string) => Edit
const before = (anchor: string): Make => inserted => insertion(inserted, text => once(text, anchor))
const after = (anchor: string): Make => inserted => insertion(inserted, text => once(text, anchor) + anchor.length)

/** Among lines of a kind, in the order of the alphabet. */
const among = (kind: RegExp): Make => inserted => insertion(inserted, text => {
  const lines = [...text.matchAll(kind)]
  const last = lines.at(-1)
  if (last === undefined) throw new Failure(`no line matches ${String(kind)}`)
  return lines.find(([line]) => line > inserted)?.index ?? last.index + last[0].length
})

/** In the list of what has been added since the last release. */
const added: Make = line => {
  const heading = '## [Unreleased]\n\n'
  const list = '### Added\n'
  const withList = `${list}${line}\n`
  return {
    apply (text) {
      if (text.includes(line)) throw new Failure(`${short(line)} is there already`)
      const start = once(text, heading) + heading.length
      const end = text.slice(start).search(/^## /m)
      const section = text.slice(start, end === -1 ? text.length : start + end)
      return section.includes(list) ? insertAt(text, start + section.indexOf(list) + list.length, line) : insertAt(text, start, withList)
    },
    revert: text => insertion(text.includes(withList) ? withList : line, () => 0).revert(text)
  }
}

const MAPPING = `  PurchaseOrdersStreamMapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref ApiFunction.Alias
      EventSourceArn: !GetAtt PurchaseOrdersTable.StreamArn
      StartingPosition: TRIM_HORIZON
      BatchSize: 25
      ParallelizationFactor: 4
      BisectBatchOnFunctionError: true
      FunctionResponseTypes: [ReportBatchItemFailures]
      MaximumRetryAttempts: 5
      MaximumRecordAgeInSeconds: 3600
      FilterCriteria:
        Filters: [{ Pattern: '{"eventName":["INSERT"],"dynamodb":{"NewImage":{"kind":{"S":["outbox"]}}}}' }]
      DestinationConfig:
        OnFailure: { Destination: !GetAtt RelayFailureQueue.Arn }

`

const TABLE = `  PurchaseOrdersTable:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: RetainExceptOnCreate
    UpdateReplacePolicy: Retain
    Metadata:
      checkov:
        skip: [{ id: CKV_AWS_119, comment: 'encrypted with the AWS managed KMS key, audited in CloudTrail, unless CustomerKey is set: a key of our own adds a cost and a way to lock oneself out' }]
    Properties:
      BillingMode: PAY_PER_REQUEST
      DeletionProtectionEnabled: !If [IsProtected, true, false]
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true }
      SSESpecification: { SSEEnabled: true, SSEType: !If [HasCustomerKey, KMS, !Ref 'AWS::NoValue'], KMSMasterKeyId: !If [HasCustomerKey, !GetAtt DataKey.Arn, !Ref 'AWS::NoValue'] }
      AttributeDefinitions:
        - { AttributeName: pk, AttributeType: S }
        - { AttributeName: sk, AttributeType: S }
        - { AttributeName: outbox, AttributeType: S }
        - { AttributeName: occurredAt, AttributeType: S }
      KeySchema:
        - { AttributeName: pk, KeyType: HASH }
        - { AttributeName: sk, KeyType: RANGE }
      GlobalSecondaryIndexes:
        - IndexName: outbox
          KeySchema:
            - { AttributeName: outbox, KeyType: HASH }
            - { AttributeName: occurredAt, KeyType: RANGE }
          Projection: { ProjectionType: ALL }
      TimeToLiveSpecification: { AttributeName: expiresAt, Enabled: true }
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }

`

const STATEMENTS = `              - Sid: PurchaseOrders
                Effect: Allow
                Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:DeleteItem, dynamodb:Query]
                Resource: !GetAtt PurchaseOrdersTable.Arn
              - Sid: PurchaseOrdersOutbox
                Effect: Allow
                Action: dynamodb:Query
                Resource: !Sub '\${PurchaseOrdersTable.Arn}/index/outbox'
              - Sid: PurchaseOrdersStream
                Effect: Allow
                Action: [dynamodb:DescribeStream, dynamodb:GetRecords, dynamodb:GetShardIterator, dynamodb:ListStreams]
                Resource: !GetAtt PurchaseOrdersTable.StreamArn
`

/** In the panel of the Grafana dashboard that counts what users do. */
const PANEL = ['PurchaseOrdersCreated', 'PurchaseOrdersRefused'].map(metric => `        {
          "refId": "${metric}",
          "expr": "sum(increase(${metric}{service=~\\"$service\\", environment=~\\"$environment\\"}[$__rate_interval]))",
          "legendFormat": "${metric}"
        },
`).join('')

const ALARM = `  PurchaseOrdersRefusedAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: !Sub 'Accounts reach their number of purchase orders. \${RunbookUrl}#purchase-orders-refused'
      AlarmActions: [!Ref AlarmTopic]
      OKActions: [!Ref AlarmTopic]
      TreatMissingData: notBreaching
      Namespace: UserService
      MetricName: PurchaseOrdersRefused
      Dimensions: [{ Name: service, Value: user-service }, { Name: environment, Value: !Ref 'AWS::StackName' }]
      Statistic: Sum
      Period: 300
      EvaluationPeriods: 1
      DatapointsToAlarm: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
      Threshold: 100

`

const shown = (metric: string) => `["UserService", "${metric}", "service", "user-service", "environment", "\${AWS::StackName}"]`

const RUNBOOK = `## Purchase orders refused

Accounts reach \`PURCHASE_ORDERS_MAX\`: a hundred refusals in five minutes. Look in the logs of \`POST /v2/users/me/purchase-orders\` for one client that repeats itself. If many users need more, raise the variable.

`

const PRIVACY = `| PurchaseOrdersTable | \`user#<id>\` | id of the account, the purchase orders as the user wrote them, times, their number | the purchase orders of the user | until the user deletes them, or the account |
| PurchaseOrdersTable | \`outbox#<event id>\` | a new purchase order, id of the account | announces it ([ADR 2](adr/0002-outbox-entries-in-the-table.md)) | until it is handled, normally under a second |
`

/** By file: what is written, and where. The names are those of the templates. */
const EDITS: Record<string, [where: Make, inserted: string][]> = {
  'src/app.ts': [
    [among(/^import \w+ from '\.\/modules\/[\w-]+\/index\.ts'\n/gm), "import purchaseOrders from './modules/purchase-orders/index.ts'\n"],
    [before('  await app.register(health)\n'), '  await app.register(purchaseOrders)\n']
  ],
  'src/plugins/config.ts': [
    [before('  EMAIL_QUEUE_URL: Url('), `  PURCHASE_ORDERS_TABLE: Text({ description: 'table of the purchase-orders module', example: 'PurchaseOrdersTable', ...TABLE }),
  PURCHASE_ORDERS_MAX: Count({ minimum: 1, maximum: 1000, description: 'purchase orders that an account may have', example: '100', default: 100 }),
`]
  ],
  'template.yaml': [
    [after('        AUTH_TABLE: !Ref AuthTable\n'), '        PURCHASE_ORDERS_TABLE: !Ref PurchaseOrdersTable\n        PURCHASE_ORDERS_MAX: 100\n'],
    [before('              - Sid: QueueMails\n'), STATEMENTS],
    [before('  # The one mapping moves with the worker'), MAPPING],
    [before('  # ── Queues ─'), TABLE],
    [before('  CodeFailuresAlarm:\n'), ALARM],
    [after(shown('UsersDeleted')), `, ${shown('PurchaseOrdersCreated')}`]
  ],
  'test/plugins/config.test.ts': [
    [before("  EMAIL_QUEUE_URL: ['hushhush'"), "  PURCHASE_ORDERS_TABLE: ['hush hush'],\n  PURCHASE_ORDERS_MAX: ['0', '1001', 'hushhush'],\n"],
    [before("    JWT_ISSUER: 'user-service',\n"), '    PURCHASE_ORDERS_MAX: 100,\n']
  ],
  'docs/runbook.md': [[before('## Refresh reuse\n'), RUNBOOK]],
  'docs/privacy.md': [[before('| EmailTable | `<message id>` |'), PRIVACY]],
  'docs/architecture.md': [
    [before('| EmailTable | `messageId` |'), '| PurchaseOrdersTable | `pk`, `sk` | purchase order `user#<id>`, `purchase-order#<id>`; their number `user#<id>`, `count`; entry `outbox#<event id>` |\n'],
    [before('; `users`, `email` and `health` use no other'), '; `purchase-orders` uses `users`']
  ],
  'docs/observability/grafana.json': [[before('        {\n          "refId": "A",\n          "expr": "sum(increase(RegistrationsRequested{'), PANEL]],
  'CHANGELOG.md': [[added, '- Purchase orders: `/v2/users/me/purchase-orders` creates, lists, reads and deletes those of the user. Event `purchase-order.created`.\n']]
}

/** What the module of these names writes into files that exist. */
export function editsOf (names: Names): Map<string, Edit[]> {
  return new Map(Object.entries(EDITS).map(([file, edits]) => [file, edits.map(([where, inserted]) => where(rename(inserted, names)))]))
}
