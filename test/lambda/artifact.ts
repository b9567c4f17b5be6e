import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { buildLambda } from '../../scripts/build/lambda.ts'
import type { Engines } from '../engines.ts'

/** The artifact, built from the sources as they are, in a directory of the test's own. */
export async function buildArtifact (t: Test): Promise<string> {
  const parent = await mkdtemp(join(t.testdir({}), 'artifact-'))
  t.teardown(() => rm(parent, { recursive: true, force: true }))
  const directory = join(parent, 'lambda')
  await buildLambda(directory)
  return directory
}

/** What the function's environment holds beside the configuration: a role's credentials. */
export const functionEnv = (engines: Engines): Record<string, string> => ({
  ...engines.env,
  AWS_SESSION_TOKEN: 'test'
})
