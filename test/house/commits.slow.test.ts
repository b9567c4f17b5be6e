import { spawnSync } from 'node:child_process'
import t from 'tap'

const lint = (message: string) => spawnSync(process.execPath, ['node_modules/@commitlint/cli/cli.js'], { input: message, encoding: 'utf8' })

t.test('messages of commits are conventional', async t => {
  t.equal(lint('fix(auth): refuse a code after five tries\n\nThe sixth was counted twice.').status, 0)
  for (const [message, rule] of [['refuse a code after five tries', 'type-empty'], ['fix(auth): Refuse a code.', 'subject-full-stop'], ['mend: a code', 'type-enum'], [`fix: ${'a'.repeat(100)}`, 'header-max-length']] as const) {
    const { status, stdout } = lint(message)
    t.equal(status, 1, message)
    t.ok(stdout.includes(rule), rule)
  }
})
