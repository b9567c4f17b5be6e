import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

/**
 * Reads the options of a script. `--help` prints the text and ends the script; an argument that the script does not know
 * ends it too, with one line and exit code 2, before anything is done.
 */
export function readOptions (help: string, options: ParseArgsOptionsConfig = {}, hint = '--help lists what there is') {
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
