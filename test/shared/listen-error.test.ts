import t from 'tap'
import { listenProblem } from '../../src/shared/listen-error.ts'

t.test('a server that cannot listen says why in one line, and what to change', async t => {
  const problem = (error: object, variable?: string) => listenProblem(error, { host: '192.0.2.1', port: 80, ...(variable === undefined ? {} : { variable }) })
  t.equal(problem({ code: 'EADDRINUSE', syscall: 'listen' }), 'PORT: port 80 is in use, set PORT to another port, or to 0 for a free one')
  t.equal(problem({ code: 'EADDRINUSE' }, 'INBOX_PORT'), 'INBOX_PORT: port 80 is in use, set INBOX_PORT to another port, or to 0 for a free one')
  t.equal(problem({ code: 'EACCES', syscall: 'listen' }), 'PORT: this user may not listen on port 80, set PORT to 1024 or higher')
  for (const error of [{ code: 'EADDRNOTAVAIL' }, { code: 'ENOTFOUND', syscall: 'getaddrinfo' }, { code: 'EINVAL', syscall: 'listen' }]) t.equal(problem(error), `HOST: 192.0.2.1 is not an address of this machine (${error.code})`)
  t.equal(problem({ code: 'ECONNRESET', syscall: 'read' }), undefined)
  t.equal(problem({}), undefined)
})
