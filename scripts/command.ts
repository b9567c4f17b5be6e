import { createInterface } from 'node:readline/promises'
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

// What the commands for operators share: verbs and options, one-line errors, a question before a change, progress.

/** An error in how a command was called: one line, exit code 2. */
export class UsageError extends Error {}
/** A command that has found a fault: one line, exit code 1. */
export class Failure extends Error {}

/** An option that a command cannot do without. */
export function required (value: string | undefined, name: string, what: string): string {
  if (value === undefined || value.trim() === '') throw new UsageError(`--${name} is missing: ${what}`)
  return value.trim()
}

/** Asks before a change. Without a terminal there is nothing to ask, so `--yes` must say it. */
export async function confirm (question: string, isAgreed: boolean): Promise<boolean> {
  if (isAgreed) return true
  if (!process.stdin.isTTY) throw new UsageError('Nothing was changed. There is no terminal to ask on: repeat it with --yes')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await terminal.question(`${question} (yes/no) `) === 'yes'
  } finally {
    terminal.close()
  }
}

/** Seconds between two lines of progress. */
const PROGRESS = 5

/** Reports long work to standard error, at most every few seconds. */
export function progress (): (line: string) => void {
  let last = Date.now()
  return (line) => {
    if (Date.now() - last < PROGRESS * 1000) return
    last = Date.now()
    process.stderr.write(`${line}\n`)
  }
}

export interface Command<Verb extends string> {
  help: string
  verbs: readonly Verb[]
  options?: ParseArgsOptionsConfig
  run: (verb: Verb, options: Record<string, string | boolean | undefined>) => Promise<void>
}

/** Runs a command of verbs. Exit code 0, or 1 when it fails, or 2 when it was called wrongly. */
export async function runCommand<Verb extends string> ({ help, verbs, options = {}, run }: Command<Verb>, args = process.argv.slice(2)): Promise<void> {
  try {
    let given
    try {
      given = parseArgs({ args, options: { ...options, help: { type: 'boolean', short: 'h' } }, strict: true, allowPositionals: true })
    } catch (error) {
      throw new UsageError(`${(error as Error).message.split('. ')[0]}: --help lists the options`)
    }
    const { values, positionals: [verb, ...rest] } = given as { values: Record<string, string | boolean | undefined>, positionals: string[] }
    if (values['help'] === true) return void process.stdout.write(help)
    if (rest.length > 0 || !(verbs as readonly (string | undefined)[]).includes(verb)) throw new UsageError(`Expected one of ${verbs.join(', ')}: --help says what they do`)
    await run(verb as Verb, values)
  } catch (error) {
    const { name, message } = error as Error
    const isOurs = error instanceof UsageError || error instanceof Failure
    console.error(isOurs ? message : `${name}: ${message.split('\n')[0]}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}
