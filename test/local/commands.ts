import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { completeEnv } from '../../local/env.ts'
import { until } from '../until.ts'
import type { Scratch } from '../house/scratch.ts'
import { newDir, processesOf } from './running.ts'

// Every npm command: what it says without its configuration, and how a Ctrl-C in the middle of its work is tried. A new command is
// a line here.

/** What a command works with in a test. */
export interface Place {
  copy: Scratch
  /** a folder for programs that are first in PATH */
  bin: string
  /** a folder of its own, where it may write */
  dir: string
  /** a server that accepts connections and never answers */
  url: string
  /** whether something has asked it */
  isConnected: () => boolean
}

export interface Command {
  /** without any configuration, one line like this; a command that needs none has none */
  lacks?: RegExp
  /** arguments of a call that takes a while */
  args?: string[]
  env?: (place: Place) => Record<string, string>
  /** what it needs in the copy */
  prepare?: (place: Place) => void
  /** when the Ctrl-C comes: with its first write, or when this is done. `output` is what it has printed by now */
  interrupt: 'write' | ((place: Place, output: () => string) => Promise<unknown>)
  /** files that it writes, and that it writes all or none of */
  writes?: string[]
  /** its exit code after a Ctrl-C: 130, unless ending it is what a Ctrl-C is for */
  code?: 0
  /** what must not be left */
  leaves?: (place: Place) => string[]
}

const says = (pattern: RegExp) => (_place: Place, output: () => string) => until(() => pattern.test(output()), { timeoutMs: 60_000 })
const connects = ({ isConnected }: Place) => until(isConnected, { timeoutMs: 60_000 })

/** A program that goes on until it is ended. */
const program = (name: string) => ({ bin, dir }: Place) => writeFileSync(join(bin, name), `#!/bin/sh\necho "$@" > ${dir}/started-${name}\nexec sleep 300\n`, { mode: 0o755 })
const runs = (name: string) => ({ dir }: Place) => until(() => existsSync(join(dir, `started-${name}`)), { timeoutMs: 60_000 })

const KEYS = { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_REGION: 'eu-central-1', AWS_MAX_ATTEMPTS: '1' }
const onAws = ({ url }: Place) => ({ ...KEYS, AWS_ENDPOINT_URL: url })

/** A data directory as a running npm start keeps one, whose engines and API do not answer. */
function besideStart ({ dir, url }: Place): void {
  mkdirSync(join(dir, 'data'))
  writeFileSync(join(dir, 'data/env'), Object.entries(engineless(url)).map(([name, value]) => `${name}='${value}'\n`).join(''))
}
const engineless = (url: string) => completeEnv({ PUBLIC_URL: url, AWS_ENDPOINT_URL_DYNAMODB: url, AWS_ENDPOINT_URL_SQS: url, EMAIL_QUEUE_URL: `${url}/000000000000/EmailQueue`, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' }) as Record<string, string>

const besideStartEnv = ({ dir }: Place) => ({ LOCAL_DATA_DIR: join(dir, 'data') })

const local = ({ dir }: Place) => ({ LOCAL_DATA_DIR: join(dir, 'data'), PORT: '0', INBOX_PORT: '0' })
const inCache = (pattern: RegExp) => ({ copy }: Place) => existsSync(copy.path('.cache')) ? readdirSync(copy.path('.cache')).filter(name => pattern.test(name)) : []
const engines = ({ dir }: Place) => processesOf(dir).map(pid => `process ${pid}`)

const STAGE = /^Expected (?:a|one) stage: npm run \w+ -- dev\|staging\|prod [^\n]+\n$/
const VERBS = /^Expected one of [^\n]+: --help says what they do\n$/
const NO_START = /^No npm start is running \(no [^\n]+\/env\): start it in another terminal\n$/

const ready = /Ctrl-C stops everything/

export const COMMANDS: Record<string, Command> = {
  start: { env: local, interrupt: says(ready), code: 0, leaves: engines },
  dev: { env: local, interrupt: says(ready), code: 0, leaves: engines },
  serve: {
    lacks: /^Configuration: [^\n]+ are missing [^\n]+\n$/,
    env: ({ url }) => ({ ...engineless(url), PORT: '0', LOG_LEVEL: 'info' }),
    interrupt: says(/listening/i),
    code: 0
  },
  test: { args: ['--jobs=1', 'test/shared/ids.test.ts', 'test/shared/formats.test.ts'], interrupt: says(/^ok /m) },
  'test:integration': { lacks: /^Nothing answers at http:\/\/localhost:\d+ \([^\n]+\): start it with npm start, or set PUBLIC_URL or --stage\n$/, env: ({ url }) => ({ PUBLIC_URL: url }), interrupt: connects },
  build: { interrupt: 'write', writes: ['dist/lambda.zip', 'dist/authorizer.zip', 'dist/server/index.mjs', 'dist/lambda/index.mjs'], leaves: ({ copy }) => existsSync(copy.path('dist/.building')) ? ['dist/.building'] : [] },
  bench: { args: ['calls', '--small'], interrupt: says(/starting the engines/) },
  promises: { args: ['3', '--half'], interrupt: says(/^\[1\//m) },
  check: { interrupt: says(/^types …/m) },
  env: { interrupt: 'write', writes: ['.env.example', 'docs/configuration.md'] },
  seed: { lacks: NO_START, prepare: besideStart, env: besideStartEnv, interrupt: connects },
  users: { lacks: VERBS, args: ['find'], prepare: besideStart, env: besideStartEnv, interrupt: connects },
  mails: { args: ['--languages', 'en'], interrupt: 'write', writes: ['.local/mails/index.html', '.local/mails/en-welcome.html', '.local/mails/en-welcome.txt'] },
  openapi: { interrupt: 'write', writes: ['docs/openapi/v1.json', 'docs/openapi/v2.json', 'docs/asyncapi.json', 'docs/errors.md', 'docs/schemas/user.deleted.v1.json'] },
  client: { interrupt: 'write', writes: ['clients/http/v2.http', 'clients/typescript/src/generated/operations.ts'] },
  deploy: { lacks: STAGE, args: ['dev'], prepare: ({ copy }) => { mkdirSync(copy.path('dist/lambda'), { recursive: true }); writeFileSync(copy.path('dist/lambda/index.mjs'), '') }, env: onAws, interrupt: connects },
  drift: { lacks: STAGE, args: ['dev'], env: onAws, interrupt: connects },
  dlq: { lacks: VERBS, args: ['list'], env: place => ({ ...onAws(place), EMAIL_QUEUE_URL: `${place.url}/000000000000/EmailQueue` }), interrupt: connects },
  release: { lacks: /^Name one of major, minor, patch[^\n]*\n$/, args: ['patch'], prepare: program('git'), interrupt: runs('git') },
  restore: { lacks: VERBS, args: ['plan', '--from', 'Restored', '--table', 'users', '--stack', 'x'], env: onAws, interrupt: connects },
  secrets: { lacks: VERBS, args: ['status', '--stack', 'x'], env: onAws, interrupt: connects },
  rollback: { lacks: VERBS, args: ['status', '--stack', 'x'], env: onAws, interrupt: connects },
  trace: { lacks: /^[^\n]+\n$/, args: ['an-id', '--stack', 'x'], env: onAws, interrupt: connects },
  pictures: { args: ['--to', '.local/pictures'], interrupt: (_place, output) => until(() => /ready|…/.test(output()), { timeoutMs: 5_000 }).catch(() => {}) },
  'new:module': { lacks: /^[^\n]+\n$/, args: ['gadgets'], interrupt: 'write' },
  'runtime-client': { prepare: program('npm'), interrupt: runs('npm'), leaves: inCache(/ric/) },
  mutants: { args: ['src/shared/ids.ts'], interrupt: 'write' },
  moto: { prepare: program('python3'), interrupt: runs('python3'), leaves: inCache(/venv/) },
  'sam:local': {
    lacks: /^The SAM CLI is missing \([^\n]+\)\n$/,
    prepare (place) {
      besideStart(place)
      program('sam')(place)
      // Only `local` goes on; what asks for the version is answered.
      const sam = join(place.bin, 'sam')
      writeFileSync(sam, readFileSync(sam, 'utf8').replace('#!/bin/sh\n', '#!/bin/sh\n[ "$1" = local ] || exit 0\n'))
      writeFileSync(join(place.bin, 'docker'), '#!/bin/sh\necho 127.0.0.2\n', { mode: 0o755 })
    },
    env: besideStartEnv,
    interrupt: runs('sam')
  }
}

/** A server that accepts connections and never answers. */
export async function startSilentServer (t: Test): Promise<Pick<Place, 'url' | 'isConnected'>> {
  const server = createServer()
  t.teardown(() => server.close())
  let isConnected = false
  server.on('connection', socket => {
    t.teardown(() => socket.destroy())
    socket.on('error', () => {}).once('data', () => { isConnected = true })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, isConnected: () => isConnected }
}

export const makeFolder = newDir
