import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

/**
 * Reads the options of a script. `--help` prints the text and ends the script. An unknown argument ends it with one line
 * and exit code 2, before the script does anything.
 */
export function readOptions (help: string, options: ParseArgsOptionsConfig = {}, hint = '--help lists the options') {
  try {
    const all: ParseArgsOptionsConfig = { ...options, help: { type: 'boolean', short: 'h' } }
    const { values } = parseArgs({ args: process.argv.slice(2), options: all, strict: true })
    if (values['help'] === true) {
      process.stdout.write(help)
      process.exit(0)
    }
    return values
  } catch (error) {
    console.error(`${(error as Error).message.split('. ')[0]}: ${hint}`)
    process.exit(2)
  }
}
