import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

// Loaded before a script in a test: what a Ctrl-C in the middle of its writing does. The signal comes with the first change of a
// file below INTERRUPT_IN.

const folder = process.env['INTERRUPT_IN']!
let isSent = false

function hook (target: object, names: string[]): void {
  const functions = target as Record<string, (...args: unknown[]) => unknown>
  for (const name of names) {
    const original = functions[name]!
    functions[name] = (...args) => {
      const result = original(...args)
      if (!isSent && String(args[0]).includes(folder)) {
        isSent = true
        process.kill(process.pid, 'SIGINT')
      }
      return result
    }
  }
}
hook(fs, ['writeFileSync', 'rmSync', 'mkdirSync', 'renameSync'])
hook(fs.promises, ['writeFile', 'rm', 'mkdir', 'rename'])
syncBuiltinESMExports()
