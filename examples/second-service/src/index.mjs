import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { createHandler } from './notes.mjs'

// The AWS SDK is part of the Lambda runtime.
export const handler = createHandler({ dynamodb: DynamoDBDocumentClient.from(new DynamoDBClient()), table: process.env.NOTES_TABLE })
