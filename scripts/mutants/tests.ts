import { globSync } from 'node:fs'
import { mirrors } from '../test/touched.ts'

// Which tests are tried on a mutant: those that mirror its file. What only a test elsewhere notices is noticed late, and by accident.

/** Tests of the artifact: the copy cannot be bundled. */
const OF_ARTIFACT = ['test/authorizer/artifact.test.ts', 'test/lambda/{build,code-cache,compiled-schemas,events,integration,parity,sam-local,sbom}.test.ts']

/** Tests that read the source as text: in the copy it has mutants in it. */
const OF_TEXT = ['test/plugins/docs-source.test.ts']

/** Tests that can notice a mutant in seconds. Those of the documents, the template, the browser and the local system cannot. */
const PLACES = ['test/app.test.ts', 'test/{authorizer,contract,faults,lambda,modules,plugins,races,security,server,shared}/**/*.test.ts']

/** Orders of calls that come seldom, and that no other test waits for. */
const RACES = 'test/races/races.test.ts'

/** What is kept in the auth table. */
const OF_AUTH_TABLE = ['challenge', 'code', 'session'].map(name => `test/modules/auth/${name}-repository.test.ts`)

/** Files that have tests elsewhere too: each start of their paths, and the tests. */
const ELSEWHERE: [start: string, tests: string[]][] = [
  ['src/api', ['test/plugins/docs.test.ts', 'test/modules/health/health.test.ts']],
  ['src/app', ['test/app.test.ts', 'test/plugins/lazy-schemas.test.ts', 'test/modules/health/health.test.ts', 'test/plugins/errors/errors.test.ts', 'test/plugins/errors/framework-errors.test.ts', 'test/server/metrics.test.ts', 'test/server/tracing.test.ts', 'test/plugins/load-shedding.test.ts', 'test/lambda/start.test.ts']],
  ['src/modules/auth/', [RACES, 'test/security/enumeration.test.ts', 'test/security/spellings.test.ts', 'test/security/erasure.test.ts']],
  ['src/modules/auth/items', OF_AUTH_TABLE],
  ['src/modules/auth/repository', OF_AUTH_TABLE],
  ['src/modules/email/', [RACES]],
  ['src/modules/email/templates/', ['test/modules/email/catalogues.test.ts', 'test/modules/email/recipients.test.ts', 'test/modules/email/worker.test.ts']],
  ['src/modules/health/', ['test/modules/health/health.test.ts', 'test/plugins/docs.test.ts', 'test/plugins/docs-answers.test.ts']],
  ['src/modules/users/', [RACES, 'test/modules/auth/events.test.ts', 'test/modules/auth/email-change.test.ts', 'test/modules/auth/email-change-undo.test.ts', 'test/security/erasure.test.ts']],
  ['src/plugins/aws/json-client', ['test/plugins/json-client.test.ts']],
  ['src/plugins/aws/traces', ['test/plugins/traces.test.ts']],
  ['src/plugins/breakers', ['test/modules/email/breaker.test.ts', 'test/plugins/aws.test.ts', 'test/modules/health/health.test.ts']],
  ['src/plugins/cache/', ['test/modules/users/poisoned-cache.test.ts']],
  ['src/plugins/consumers', ['test/plugins/outbox.test.ts', 'test/lambda/dispatch.test.ts']],
  ['src/plugins/docs/', ['test/plugins/schemas.test.ts']],
  ['src/plugins/dynamodb', ['test/plugins/aws.test.ts']],
  ['src/plugins/event-bus', ['test/plugins/outbox.test.ts', 'test/modules/users/events.test.ts']],
  ['src/plugins/idempotency/', ['test/modules/auth/idempotency.test.ts']],
  ['src/plugins/jwt', ['test/authorizer/authorizer.test.ts', 'test/modules/users/profile.test.ts']],
  ['src/plugins/log-output', ['test/plugins/log-output-pipe.test.ts']],
  ['src/plugins/logging', ['test/plugins/logging-lines.test.ts', 'test/plugins/metrics-lines.test.ts']],
  ['src/plugins/metrics', ['test/plugins/metrics-lines.test.ts', 'test/server/metrics.test.ts']],
  ['src/plugins/', ['test/plugins/needs.test.ts']],
  ['src/plugins/outbox/', [RACES, 'test/modules/users/events.test.ts', 'test/modules/auth/events.test.ts']],
  ['src/plugins/request-target', ['test/lambda/base-path.test.ts', 'test/plugins/errors/framework-errors.test.ts']],
  ['src/plugins/s3', ['test/modules/uploads/lazy.test.ts', 'test/modules/uploads/uploads.test.ts']],
  ['src/plugins/security-headers', ['test/plugins/errors/errors.test.ts', 'test/plugins/cors.test.ts']],
  ['src/plugins/spans', ['test/server/tracing.test.ts']],
  ['src/plugins/sqs', ['test/plugins/s3.test.ts', 'test/modules/email/worker.test.ts']],
  ['src/shared/access-token', ['test/plugins/jwt.test.ts', 'test/authorizer/authorizer.test.ts']],
  ['src/server.ts', ['test/server/process.test.ts', 'test/server/metrics.test.ts', 'test/plugins/rate-limit/rate-limit.test.ts', 'test/plugins/log-output.test.ts', 'test/faults/server.test.ts']],
  ['src/shared/aws-errors', ['test/plugins/aws.test.ts', 'test/modules/users/registration.test.ts']],
  ['src/shared/base-path', ['test/lambda/base-path.test.ts']],
  ['src/shared/colour', ['test/modules/email/catalogues.test.ts']],
  ['src/shared/conditional-write', ['test/shared/aws-errors.test.ts', 'test/modules/users/registration.test.ts', 'test/modules/auth/refresh.test.ts']],
  ['src/shared/config-error', ['test/plugins/config.test.ts']],
  ['src/shared/email-address', ['test/shared/properties.test.ts', 'test/security/spellings.test.ts', 'test/modules/email/recipients.test.ts']],
  ['src/shared/envelope', ['test/modules/users/registration.test.ts', 'test/plugins/docs.test.ts', 'test/plugins/docs-answers.test.ts', 'test/plugins/errors/errors.test.ts']],
  ['src/shared/erasure', ['test/modules/users/events.test.ts']],
  ['src/shared/errors', ['test/plugins/errors/errors.test.ts', 'test/plugins/bodies.test.ts', 'test/modules/users/profile.test.ts', 'test/plugins/docs.test.ts', 'test/plugins/docs-answers.test.ts']],
  ['src/shared/http-cache', ['test/modules/users/conditional.test.ts', 'test/shared/static-answer.test.ts']],
  ['src/shared/is-object', ['test/lambda/dispatch.test.ts', 'test/lambda/events.test.ts', 'test/plugins/errors/errors.test.ts']],
  ['src/shared/optimistic', ['test/modules/users/conditional.test.ts']],
  ['src/shared/outbox', ['test/plugins/outbox.test.ts']],
  ['src/shared/paging', ['test/modules/users/directory.test.ts', 'test/modules/users/admins.test.ts', 'test/modules/users/expiry.test.ts']],
  ['src/shared/problem', ['test/plugins/errors/errors.test.ts', 'test/plugins/errors/framework-errors.test.ts', 'test/plugins/docs.test.ts', 'test/plugins/docs-answers.test.ts']],
  ['src/shared/query', ['test/modules/users/directory.test.ts']],
  ['src/shared/traceparent', ['test/server/tracing.test.ts', 'test/plugins/traces.test.ts']]
]

/** Compares the committed API documents with what the schemas make of them. */
const DOCUMENTS = 'test/plugins/docs.test.ts'
const WITH_SCHEMAS = /\/schemas\.ts$|^src\/modules\/\w+\/index\.ts$|[./]routes\.v\d\.ts$|^src\/shared\/(?:email-address|http-cache|ids|locale|paging|person-name|problem|traceparent)\.ts$/

/** Tests that are tried on one mutant. The first ones notice nearly all that is noticed at all. */
export const MAX_TESTS = 16

/** So many tests of the same folder come before those of other folders. */
const NEAREST = 6

/** Length of the start that two names share: `auth/sessions` and `auth/service` share more than `auth/sign-in` and `auth/export`. */
function likeness (a: string, b: string): number {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  return i
}

/** The tests of a file, best first: of its own name, then those of its folder. */
export function testsOf (root: string, file: string): string[] {
  const all = globSync(PLACES, { cwd: root, exclude: ['**/fixtures/**', '**/*.slow.test.ts', ...OF_ARTIFACT, ...OF_TEXT] })
  const name = file.replace(/^src/, 'test').replace(/\.ts$/, '')
  const beside = mirrors(file, all)
    .sort((a, b) => likeness(b, name) - likeness(a, name) || a.length - b.length || (a < b ? -1 : 1))
  const elsewhere = ELSEWHERE.filter(([start]) => file.startsWith(start)).flatMap(([, tests]) => tests).filter(test => all.includes(test))
  return [...new Set([...beside.slice(0, 1), ...(WITH_SCHEMAS.test(file) ? [DOCUMENTS] : []), ...beside.slice(1, NEAREST), ...elsewhere, ...beside.slice(NEAREST)])]
}
