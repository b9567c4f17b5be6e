// enrolment.test.ts on AWS's DynamoDB Local.
process.env['SECOND_ENGINE'] = 'true'
await import('./enrolment.test.ts')

export {}
