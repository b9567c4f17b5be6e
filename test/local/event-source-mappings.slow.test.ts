// event-source-mappings.test.ts on AWS's DynamoDB Local.
process.env['SECOND_ENGINE'] = 'true'
await import('./event-source-mappings.test.ts')

export {}
