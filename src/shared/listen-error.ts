interface Target { host: string, port: number, variable?: string }

/**
 * Explains in one line why a server cannot listen, and which variable to change.
 *
 * @returns `undefined` when the error is about something else
 */
export function listenProblem (error: unknown, { host, port, variable = 'PORT' }: Target): string | undefined {
  const { code, syscall } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return `${variable}: port ${port} is in use, set ${variable} to another port, or to 0 for a free one`
  if (code === 'EACCES') return `${variable}: this user may not listen on port ${port}, set ${variable} to 1024 or higher`
  // A failed name lookup has the syscall `getaddrinfo`.
  if (code === 'EADDRNOTAVAIL' || syscall === 'getaddrinfo' || syscall === 'listen') return `HOST: ${host} is not an address of this machine (${code})`
  return undefined
}
