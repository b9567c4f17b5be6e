/** Region and credentials of everything local. The engines check neither; the SDK wants both. */
export const LOCAL_AWS = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }

/** Account that the local engines put into their ARNs. */
export const LOCAL_ACCOUNT = '000000000000'
