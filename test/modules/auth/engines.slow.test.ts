// engines.test.ts on AWS's DynamoDB Local, and on moto.
process.env['SECOND_ENGINE'] = 'true'
await import('./engines.test.ts')

export {}
