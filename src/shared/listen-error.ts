interface Target { host: string, port: number, variable?: string }

/**
 * One line for a server that cannot listen, which names the variable to change.
 *
 * @returns `undefined` when the error is about something else
 */
export function listenProblem (error: unknown, { host, port, variable = 'PORT' }: Target): string | undefined {
  const { code, syscall } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return `${variable}: port ${port} is taken, set ${variable} to another port, or to 0 for a free one`
  if (code === 'EACCES') return `${variable}: this user may not listen on port ${port}, set ${variable} to 1024 or higher`
  // The lookup of a name fails with a syscall of its own.
  if (code === 'EADDRNOTAVAIL' || syscall === 'getaddrinfo' || syscall === 'listen') return `HOST: ${host} is not an address of this machine (${code})`
  return undefined
}
