// cost.test.ts on AWS's DynamoDB Local.
process.env['SECOND_ENGINE'] = 'true'
await import('./cost.test.ts')

export {}
