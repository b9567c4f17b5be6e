import { LOCAL_AWS } from '../local/aws.ts'

// Imported for its effect. The SDK signs what it sends to local engines and servers too; nothing else of the environment is touched.
process.env['AWS_ACCESS_KEY_ID'] = LOCAL_AWS.credentials.accessKeyId
process.env['AWS_SECRET_ACCESS_KEY'] = LOCAL_AWS.credentials.secretAccessKey
