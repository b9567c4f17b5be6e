/** The path below which clients reach the service, without a slash at the end; empty at the root of a host. */
export const basePathOf = (publicUrl: string): string => new URL(publicUrl).pathname.replace(/\/$/, '')
