import { BatchWriteCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'

const answer = (statusCode, body) => ({ statusCode, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body: JSON.stringify(body) })

/** The caller, as the authorizer names them: a REST API gives its context directly, an HTTP API as `lambda`. */
function callerOf ({ requestContext: { authorizer } }) {
  const { userId, email, role } = authorizer.lambda ?? authorizer
  return { userId, email, role }
}

const methodOf = ({ httpMethod, requestContext }) => httpMethod ?? requestContext.http.method

function textIn ({ body, isBase64Encoded }) {
  try {
    const { text } = JSON.parse(isBase64Encoded ? Buffer.from(body, 'base64').toString() : body)
    return typeof text === 'string' && text.length > 0 && text.length <= 1000 ? text : undefined
  } catch {
    return undefined
  }
}

/** Notes of users. It stores no name and no address: the user service has them. */
export function createHandler ({ dynamodb, table }) {
  async function notesOf (userId) {
    const notes = []
    let ExclusiveStartKey
    do {
      const page = await dynamodb.send(new QueryCommand({ TableName: table, KeyConditionExpression: 'userId = :userId', ExpressionAttributeValues: { ':userId': userId }, ConsistentRead: true, ExclusiveStartKey }))
      notes.push(...page.Items)
      ExclusiveStartKey = page.LastEvaluatedKey
    } while (ExclusiveStartKey !== undefined)
    return notes
  }

  /** Erases the notes of a user. Safe to repeat: EventBridge delivers at least once. */
  async function forget (userId) {
    const keys = (await notesOf(userId)).map(({ noteId }) => ({ userId, noteId }))
    while (keys.length > 0) {
      const batch = keys.splice(0, 25).map(Key => ({ DeleteRequest: { Key } }))
      const { UnprocessedItems } = await dynamodb.send(new BatchWriteCommand({ RequestItems: { [table]: batch } }))
      keys.push(...(UnprocessedItems?.[table] ?? []).map(({ DeleteRequest }) => DeleteRequest.Key))
    }
  }

  return async function handler (event) {
    if (event['detail-type'] !== undefined) {
      if (event.source !== 'user-service' || event['detail-type'] !== 'user.deleted') throw new Error('An event that no rule sends')
      return await forget(event.detail.data.userId)
    }
    const { userId } = callerOf(event)
    if (methodOf(event) === 'POST') {
      const text = textIn(event)
      if (text === undefined) return answer(400, { error: 'text must have 1 to 1000 characters' })
      const note = { noteId: randomUUID(), text, createdAt: new Date().toISOString() }
      await dynamodb.send(new PutCommand({ TableName: table, Item: { userId, ...note } }))
      return answer(201, note)
    }
    return answer(200, { items: (await notesOf(userId)).map(({ noteId, text, createdAt }) => ({ noteId, text, createdAt })) })
  }
}
