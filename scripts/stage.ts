import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'

export const STAGES = ['dev', 'staging', 'prod']

/** A stage as samconfig.toml describes it. */
export interface Stage {
  name: string
  /** of its stack */
  stack: string
  region: string
  /** those that samconfig.toml sets itself */
  parameters: Record<string, string>
}

/** Name of the stack of bootstrap.yaml that belongs to a stage's stack. */
export const bootstrapOf = (stack: string): string => `bootstrap-${stack}`

interface Settings { global: { parameters: { stack_name: string, region: string } }, deploy: { parameters: { parameter_overrides: string[] } } }

/** @throws when samconfig.toml does not describe the stage */
export function readStage (root: string, name: string): Stage {
  const settings = (parse(readFileSync(join(root, 'samconfig.toml'), 'utf8')) as unknown as Record<string, Settings>)[name]
  if (settings === undefined) throw new Error(`samconfig.toml has no stage ${name}`)
  const overrides = settings.deploy.parameters.parameter_overrides.filter(override => !override.startsWith('file://'))
  return {
    name,
    stack: settings.global.parameters.stack_name,
    region: settings.global.parameters.region,
    parameters: Object.fromEntries(overrides.map(override => [override.slice(0, override.indexOf('=')), override.slice(override.indexOf('=') + 1)]))
  }
}
