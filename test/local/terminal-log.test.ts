import type { Logger } from 'pino'
import t from 'tap'
import { completeEnv } from '../../local/env.ts'
import { terminalLog } from '../../local/terminal-log.ts'
import { createLogger } from '../../src/plugins/logging.ts'
import { loadConfig } from '../../src/plugins/config.ts'

const config = loadConfig(completeEnv({ LOG_LEVEL: 'info' }))

function logged (write: (log: Logger) => void, level?: string): string {
  let text = ''
  write(createLogger(config, terminalLog({ write: line => { text += line }, ...(level === undefined ? {} : { level }) })))
  return text
}

t.test('a log line is one readable line, with its fields and without those that every line has', async t => {
  const text = logged(log => log.info({ route: '/v2/users', statusCode: 202, name: 'two words' }, 'answered'))
  t.match(text, /^\d\d:\d\d:\d\d\.\d{3} INFO {2}answered route=\/v2\/users statusCode=202 name="two words"\n$/)
})

t.test('an error comes with its stack below it', async t => {
  const text = logged(log => log.error({ err: new Error('broken') }, 'request failed'))
  t.match(text, /ERROR request failed\n {2}Error: broken\n {6}at /)
})

t.test('lines below the level are left out, metrics among them', async t => {
  const metric = (log: Logger) => log.info({ _aws: { CloudWatchMetrics: [] }, MailsSent: 1 })
  t.match(logged(metric), /INFO {2}metric MailsSent=1/)
  t.equal(logged(metric, 'warn'), '')
  t.match(logged(log => log.warn('slow'), 'warn'), /WARN {2}slow/)
  t.equal(logged(log => log.fatal('gone'), 'silent'), '')
})

t.test('nothing in a line reaches the terminal as a command', async t => {
  const text = logged(log => log.warn({ err: new Error('\u001b[2J\u0007\u009b'), name: '\u001b]0;title\u0007\u202e' }, 'odd'))
  // eslint-disable-next-line no-control-regex
  t.notMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
  t.match(text, 'odd')
})
