import { cruise, type ICruiseResult } from 'dependency-cruiser'
import extractDepcruiseOptions from 'dependency-cruiser/config-utl/extract-depcruise-options'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'
import { globSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import t, { type Test } from 'tap'

const ROOT = resolve(import.meta.dirname, '../..')
const options = await extractDepcruiseOptions(resolve(ROOT, '.dependency-cruiser.cjs'))
const rules = options.ruleSet?.forbidden ?? []

/** What the project's own rules say of the folders under `baseDir`. */
async function look (baseDir: string, folders: string[]) {
  const { output } = await cruise(folders, { ...options, baseDir, validate: true }, options.enhancedResolveOptions,
    { tsConfig: extractTSConfig(resolve(ROOT, 'tsconfig.json')) })
  const { modules, summary } = output as ICruiseResult
  return {
    files: modules.map(module => module.source),
    typeOnly: modules.flatMap(module => module.dependencies).filter(to => to.dependencyTypes.includes('type-only')).length,
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)
  }
}

t.test('the project keeps its boundaries, and every file was looked at', async t => {
  const folders = ['src', 'local', 'scripts', 'test', 'bench']
  const { files, typeOnly, violations } = await look(ROOT, folders)
  t.same(violations, [])
  const present = globSync(folders.map(folder => `${folder}/**/*.ts`), { cwd: ROOT, exclude: ['test/**/fixtures/**', 'scripts/new-module/template/**', 'bench/{peers,node_modules}/**'] })
  t.ok(present.length > 40, `${present.length} files`)
  t.same(present.filter(file => !files.includes(file)), [], 'no file was passed over')
  t.ok(typeOnly > 20, `TypeScript was understood: ${typeOnly} type-only imports seen`)
})

t.test('a door depends on the modules whose contracts its module imports, and on no other', async t => {
  const modules = globSync('src/modules/*/index.ts', { cwd: ROOT }).map(file => file.split('/')[2]!)
  const found: Record<string, string[]> = {}
  for (const module of modules) {
    const read = (file: string) => readFileSync(resolve(ROOT, file), 'utf8')
    const [, list = ''] = /dependencies: \[([^\]]*)\]/.exec(read(`src/modules/${module}/index.ts`)) ?? []
    const named = [...list.matchAll(/'([\w-]+)'/g)].map(match => match[1]!).filter(name => modules.includes(name)).sort()
    const files = globSync(`src/modules/${module}/**/*.ts`, { cwd: ROOT })
    const imported = new Set(files.flatMap(file => [...read(file).matchAll(/'(?:\.\.\/)+([\w-]+)\/contract\.ts'/g)].map(match => match[1]!)))
    t.same(named, [...imported].sort(), `src/modules/${module}/index.ts`)
    found[module] = named
  }
  t.match(found, { auth: ['email', 'users'], users: [], email: [], health: [] })
})

// A small service that keeps every rule; each violation below is planted into it.
const CLEAN = {
  'src/app.ts': "import users from './modules/users/index.ts'\nimport cache from './plugins/cache.ts'\nexport default [users, cache]",
  'src/plugins/cache.ts': "import { Redis } from 'ioredis'\nimport { newId } from '../shared/ids.ts'\nexport interface Cache { id: string }\nexport default [Redis, newId]",
  'src/shared/ids.ts': "import { randomUUID } from 'node:crypto'\nexport const newId = randomUUID",
  'src/modules/users/index.ts': "import { createService } from './service.ts'\nexport default createService",
  'src/modules/users/contract.ts': 'export interface UsersService { id: string }',
  'src/modules/users/service.ts': "import type { Cache } from '../../plugins/cache.ts'\nimport { save } from './repository.ts'\nexport const createService = (cache: Cache) => save(cache.id)",
  'src/modules/users/repository.ts': "import { GetCommand } from '@aws-sdk/lib-dynamodb'\nexport const save = (id: string) => [id, GetCommand]",
  'src/modules/users/list-repository.ts': "import { QueryCommand } from '@aws-sdk/lib-dynamodb'\nexport default QueryCommand",
  'src/modules/users/events.ts': "import type { UsersService } from './contract.ts'\nexport const registerEvents = (users: UsersService) => users",
  'src/modules/orders/index.ts': "import type { UsersService } from '../users/contract.ts'\nexport default (users: UsersService) => users",
  'src/modules/orders/contract.ts': 'export interface OrdersService { id: string }',
  'src/modules/orders/service.ts': "import type { BillingService } from '../billing/contract.ts'\nexport const createService = (billing: BillingService) => billing",
  'src/modules/billing/contract.ts': 'export interface BillingService { id: string }',
  'src/modules/email/contract.ts': 'export interface EmailService { id: string }',
  'src/modules/email/index.ts': 'export default 1',
  'src/modules/email/client.ts': "import { SendMessageCommand } from '@aws-sdk/client-sqs'\nexport default SendMessageCommand",
  'src/modules/email/queue.ts': "import { SQSClient } from '@aws-sdk/client-sqs'\nimport type { SQSEvent } from 'aws-lambda'\nexport const read = (event: SQSEvent) => [event, SQSClient]",
  'src/modules/health/index.ts': 'export default 1',
  'local/engines.ts': "import app from '../src/app.ts'\nexport default app",
  'scripts/start.ts': "import engines from '../local/engines.ts'\nexport default engines",
  'test/engines.ts': 'export default 1',
  'bench/stats.ts': "import app from '../src/app.ts'\nexport const median = app"
}

// Each adds one file to the clean service, or writes one anew.
const PLANTED: Record<string, Record<string, [file: string, text: string]>> = {
  'module-to-module-only-through-contract': {
    'a module that imports another one’s service': ['src/modules/email/worker.ts', "import { createService } from '../users/service.ts'\nexport default createService"],
    'a module that imports the type of another one’s service': ['src/modules/email/worker.ts', "import type { createService } from '../users/service.ts'\nexport type X = typeof createService"],
    'a module whose name begins with the other one’s': ['src/modules/users-admin/index.ts', "import { save } from '../users/repository.ts'\nexport default save"]
  },
  'contract-only-as-type': {
    'a contract imported at run time': ['src/modules/email/worker.ts', "import * as users from '../users/contract.ts'\nexport default users"]
  },
  'module-to-plugin-only-as-type': {
    'a module that takes the cache by import': ['src/modules/email/worker.ts', "import cache from '../../plugins/cache.ts'\nexport default cache"]
  },
  'plugin-knows-no-module': {
    'a plugin that knows the users': ['src/plugins/jwt.ts', "import type { UsersService } from '../modules/users/contract.ts'\nexport type X = UsersService"]
  },
  'shared-is-a-leaf': {
    'a shared file that knows a plugin': ['src/shared/errors.ts', "import type { Cache } from '../plugins/cache.ts'\nexport type X = Cache"]
  },
  'src-stands-alone': {
    'production code that uses a benchmark': ['src/plugins/rate.ts', "import { median } from '../../bench/stats.ts'\nexport default median"],
    'production code that uses a test helper': ['src/server.ts', "import engines from '../test/engines.ts'\nexport default engines"]
  },
  'these-modules-know-no-other': {
    'a health check that asks the users module': ['src/modules/health/probes.ts', "import type { UsersService } from '../users/contract.ts'\nexport type X = UsersService"],
    'a users module that mails': ['src/modules/users/routes.v2.ts', "import type { EmailService } from '../email/contract.ts'\nexport type X = EmailService"],
    'a worker that reads accounts': ['src/modules/email/worker.ts', "import type { UsersService } from '../users/contract.ts'\nexport type X = UsersService"]
  },
  'no-cycle-of-modules': {
    'a module that needs one that needs it, each by a contract and as a type': ['src/modules/billing/contract.ts', "import type { OrdersService } from '../orders/contract.ts'\nexport interface BillingService { orders: OrdersService }"]
  },
  'no-cycle': {
    'two files that need each other': ['src/modules/users/repository.ts', "import { createService } from './service.ts'\nexport const save = (id: string) => [id, createService]"]
  },
  'aws-only-at-the-edges': {
    'a worker that calls AWS itself': ['src/modules/email/worker.ts', "import { SQSClient } from '@aws-sdk/client-sqs'\nexport default SQSClient"],
    'a repository’s name in another module’s folder of stream.ts': ['src/modules/users/stream.ts', "import { SQSClient } from '@aws-sdk/client-sqs'\nexport default SQSClient"]
  },
  'rules-know-no-framework': {
    'a service that knows Fastify': ['src/modules/email/service.ts', "import type { FastifyInstance } from 'fastify'\nexport type X = FastifyInstance"],
    'a service that knows a plugin of Fastify': ['src/modules/email/service.ts', "import createError from '@fastify/error'\nexport default createError"],
    'an event’s handler that calls AWS itself': ['src/modules/users/events.ts', "import { SQSClient } from '@aws-sdk/client-sqs'\nexport default SQSClient"],
    'a directory that calls AWS itself': ['src/modules/users/directory.ts', "import { SQSClient } from '@aws-sdk/client-sqs'\nexport default SQSClient"],
    'an event’s handler that knows Fastify': ['src/modules/users/events.ts', "import type { FastifyInstance } from 'fastify'\nexport type X = FastifyInstance"]
  },
  'no-dev-dependency-in-src': {
    'production code that needs a tool': ['src/server.ts', "import { SMTPServer } from 'smtp-server'\nexport default SMTPServer"]
  },
  'no-unresolvable': {
    'an import of nothing': ['src/server.ts', "import x from './nowhere.ts'\nexport default x"]
  }
}

t.test('every rule has a violation planted for it', async t => {
  t.same(Object.keys(PLANTED), rules.map(rule => rule.name))
})

t.test('a service that keeps every rule passes', async t => {
  const { files, violations } = await look(plant(t, CLEAN), ['src', 'local', 'scripts', 'test', 'bench'])
  t.same(violations, [])
  t.same(Object.keys(CLEAN).filter(file => !files.includes(file)), [])
})

for (const [rule, violations] of Object.entries(PLANTED)) {
  for (const [name, [file, text]] of Object.entries(violations)) {
    t.test(`${rule} catches ${name}`, async t => {
      const found = (await look(plant(t, { ...CLEAN, [file]: text }), ['src', 'local', 'scripts', 'test', 'bench'])).violations
      const from = rule === 'no-cycle-of-modules' ? dirname(file) : file
      t.match(found.join('\n'), new RegExp(`^${rule}: ${from.replaceAll('.', '\\.')} -> `, 'm'))
    })
  }
}

/** Writes the files into a folder that sees the project's packages. */
function plant (t: Test, files: Record<string, string>): string {
  const dir: Record<string, unknown> = {
    node_modules: t.fixture('symlink', resolve(ROOT, 'node_modules')),
    'package.json': t.fixture('file', JSON.stringify({ type: 'module', dependencies: { ioredis: '*', fastify: '*', '@aws-sdk/client-sqs': '*', '@aws-sdk/lib-dynamodb': '*', '@fastify/error': '*' }, devDependencies: { 'smtp-server': '*', '@types/aws-lambda': '*' } }))
  }
  for (const [path, text] of Object.entries(files)) {
    const parts = path.split('/')
    let at = dir
    for (const part of parts.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>
    at[parts.at(-1)!] = text
  }
  return t.testdir(dir as Parameters<Test['testdir']>[0])
}
