// registration.test.ts on AWS's DynamoDB Local, and on moto.
process.env['SECOND_ENGINE'] = 'true'
await import('./registration.test.ts')

export {}
