/** Region and credentials of everything local. The engines check neither; the SDK wants both. */
export const LOCAL_AWS = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }

/** How a container calls the machine it runs on: Docker Desktop knows the name, on Linux it is given one. */
export const CONTAINER_HOST = 'host.docker.internal'

/** Account that the local engines put into their ARNs. */
export const LOCAL_ACCOUNT = '000000000000'
