/** Region and credentials for the local engines. The engines check neither, but the SDK requires both. */
export const LOCAL_AWS = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }

/** The name by which a container reaches its host. Docker Desktop resolves it; on Linux it must be added. */
export const CONTAINER_HOST = 'host.docker.internal'

/** The account id in the ARNs of the local engines. */
export const LOCAL_ACCOUNT = '000000000000'
