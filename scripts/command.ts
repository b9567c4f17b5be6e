import { createInterface } from 'node:readline/promises'
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { errorLine } from './error-line.ts'

// What the commands for operators share: verbs and options, one-line errors, a question before a change, progress.

/** An error in how a command was called: one line, exit code 2. */
export class UsageError extends Error {}
/** A command that has found a fault: one line, exit code 1. */
export class Failure extends Error {}

/** A command that a signal has ended in order: one line, and the exit code that a shell expects, of Ctrl-C unless it is given. */
export class Interruption extends Failure {
  exitCode: number
  constructor (message: string, exitCode = 130) {
    super(message)
    this.exitCode = exitCode
  }
}

/**
 * Prints why a command has ended, and sets its exit code: 2 when it was called wrongly, that of the signal after a Ctrl-C, otherwise
 * 1. `foreign` is what to print of an error that is not ours.
 */
export function reportFailure (error: unknown, foreign: (error: unknown) => unknown = errorLine): void {
  console.error(error instanceof UsageError || error instanceof Failure ? error.message : foreign(error))
  process.exitCode = error instanceof UsageError ? 2 : error instanceof Interruption ? error.exitCode : 1
}

/** An option that a command cannot do without. */
export function required (value: string | undefined, name: string, what: string): string {
  if (value === undefined || value.trim() === '') throw new UsageError(`--${name} is missing: ${what}`)
  return value.trim()
}

/** Asks on the terminal, and returns the answer. */
export async function ask (question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await terminal.question(question)
  } finally {
    terminal.close()
  }
}

/** Asks before a change. Without a terminal there is nothing to ask, so `--yes` must say it. */
export async function confirm (question: string, isAgreed: boolean): Promise<boolean> {
  if (isAgreed) return true
  if (!process.stdin.isTTY) throw new UsageError('Nothing was changed. There is no terminal to ask on: repeat it with --yes')
  return await ask(`${question} (yes/no) `) === 'yes'
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
  /** what a verb works on, by verb: the name of the one argument after it, in brackets if it can be left out, or the words it may be, or be left out */
  operands?: Partial<Record<Verb, string | readonly string[]>>
  run: (verb: Verb, options: Record<string, string | boolean | undefined>, operand: string | undefined) => Promise<void>
}

/** Runs a command of verbs. Exit code 0, or 1 when it fails, or 2 when it was called wrongly. */
export async function runCommand<Verb extends string> ({ help, verbs, options = {}, operands = {}, run }: Command<Verb>, args = process.argv.slice(2)): Promise<void> {
  try {
    let given
    try {
      given = parseArgs({ args, options: { ...options, help: { type: 'boolean', short: 'h' } }, strict: true, allowPositionals: true })
    } catch (error) {
      throw new UsageError(`${(error as Error).message.split('. ')[0]}: --help lists the options`)
    }
    const { values, positionals: [verb, operand, ...rest] } = given as { values: Record<string, string | boolean | undefined>, positionals: string[] }
    if (values['help'] === true) return void process.stdout.write(help)
    const expected = operands[verb as Verb]
    if (!(verbs as readonly (string | undefined)[]).includes(verb)) throw new UsageError(`Expected one of ${verbs.join(', ')}: --help says what they do`)
    const surplus = expected === undefined ? operand : rest[0]
    if (surplus !== undefined) throw new UsageError(`Unexpected argument '${surplus}': ${verb} takes ${expected === undefined ? 'none' : 'one'}, --help says more`)
    if (typeof expected === 'object' && operand !== undefined && !expected.includes(operand)) throw new UsageError(`Expected one of ${expected.join(', ')}, or nothing after ${verb}: --help lists the options`)
    if (operand === undefined && typeof expected === 'string' && !expected.startsWith('[')) throw new UsageError(`${verb} needs ${expected}: --help says what it is`)
    await run(verb as Verb, values, operand)
  } catch (error) {
    reportFailure(error)
  }
}
