import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

/** What parseArgs makes of options. */
type Given<Options extends ParseArgsOptionsConfig> = Pick<ReturnType<typeof parseArgs<{ options: Options, strict: true, allowPositionals: true }>>, 'values' | 'positionals'>

/** Exit code of a script that was called wrongly. */
const USAGE = 2

/**
 * Reads the options of a script. `--help` prints the text and ends the script. An unknown argument ends it with one line
 * and exit code 2, before the script does anything.
 */
export function readOptions<const Options extends ParseArgsOptionsConfig> (help: string, options: Options = {} as Options, hint?: string): Given<Options>['values'] {
  return read(help, options, { allowPositionals: false, hint }).values
}

/** Reads options, as `readOptions` does, and arguments without a name. */
export function readArguments<const Options extends ParseArgsOptionsConfig> (help: string, options: Options = {} as Options): Given<Options> {
  return read(help, options, { allowPositionals: true })
}

/** Ends a script that was called wrongly, with one line. */
export function refuse (what: string, hint = '--help lists the options'): never {
  console.error(`${what}: ${hint}`)
  process.exit(USAGE)
}

function read<const Options extends ParseArgsOptionsConfig> (help: string, options: Options, { allowPositionals, hint }: { allowPositionals: boolean, hint?: string | undefined }): Given<Options> {
  try {
    const { values, positionals } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } }, strict: true, allowPositionals })
    if ((values as { help?: boolean }).help !== true) return { values, positionals } as Given<Options>
  } catch (error) {
    refuse((error as Error).message.split('. ')[0]!, hint)
  }
  process.stdout.write(help)
  process.exit(0)
}
