import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { withBug } from './bugs.ts'
import { PROPERTY_BUGS } from './property-bugs.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Runs a test file with a bug in the service. */
async function run (test: string, planted: string): Promise<{ code: number, output: string }> {
  return await new Promise(resolve => {
    execFile(process.execPath, ['--no-warnings', '--import', './test/rig/planted.ts', test], { cwd: ROOT, env: { ...process.env, RIG_PLANTED: planted, TAP_TIMEOUT: '600' }, maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` })
    })
  })
}

for (const [name, bug] of Object.entries(PROPERTY_BUGS)) {
  t.test(`found: ${name}`, { timeout: 600_000 }, async t => {
    t.doesNotThrow(() => stripTypeScriptTypes(withBug(readFileSync(join(ROOT, bug.file), 'utf8'), bug)))
    const { code, output } = await run(bug.test, name)
    t.not(code, 0, `${bug.test} fails`)
    if (!bug.says.test(output)) t.fail(`${bug.test} fails for another reason`, { output: output.slice(-3_000) })
  })
}
