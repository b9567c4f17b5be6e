import t from 'tap'
import { parse } from 'yaml'
import { makeClients } from '../../scripts/client.ts'
import { operationsOf, readDocument, type Operation } from '../../scripts/client/document.ts'

const files = await makeClients()
const v1 = operationsOf(await readDocument('v1'))
const v2 = operationsOf(await readDocument('v2'))

const within = (folder: string) => Object.entries(files).filter(([file]) => file.startsWith(`clients/${folder}/`)).map(([file, text]) => [file.slice(`clients/${folder}/`.length), text] as const)

/** A request of a collection, with its variables as they are written. */
interface Sent { file: string, method: string, url: string, text: string, body?: string | undefined }

interface BrunoRequest {
  info: { type: string, name: string, seq: number }
  http: { method: string, url: string, body?: { data: string }, params?: { name: string }[] }
  runtime: { scripts?: { type: string, code: string }[], assertions: { value: string }[] }
}

const bruno = within('bruno').map(([file, text]) => ({ file, text, content: parse(text) as BrunoRequest })).filter(({ content }) => content.info?.type === 'http')

function httpRequests (file: string): Sent[] {
  return files[`clients/http/${file}`]!.split(/^### .*$/m).slice(1).flatMap(text => {
    const [, method, url, rest] = /^(GET|POST|PUT|PATCH|DELETE) (\S+)$([^]*)/m.exec(text) ?? []
    return method === undefined || url === undefined ? [] : [{ file, method, url, text, body: /^\{[^]*\}$/m.exec(rest!)?.[0] }]
  })
}

/** Operations that no request of a collection calls. */
function missing (operations: Operation[], requests: { method: string, url: string }[]): string[] {
  return operations.filter(({ method, path }) => {
    const pattern = new RegExp(`^\\{\\{baseUrl\\}\\}${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '\\{\\{\\w+\\}\\}')}(?:\\?|$)`)
    return !requests.some(request => request.method === method && pattern.test(request.url))
  }).map(({ id }) => id)
}

t.test('every operation of both documents is in the .http files and in the Bruno collection', async t => {
  t.same(missing(v1, httpRequests('v1.http')), [])
  t.same(missing(v2, httpRequests('v2.http')), [])
  const sent = bruno.filter(({ file }) => !file.startsWith('story/')).map(({ content: { http } }) => http)
  t.same(missing([...v1, ...v2], sent), [])
  t.same(missing([...v1, ...v2], sent.filter(({ url }) => !url.endsWith('/v2/users/me'))), ['users.getMe', 'users.updateMe', 'users.deleteMe'], 'one that is missing is found')
})

const used = (text: string) => [...text.matchAll(/\{\{(\w+)(?:\.[^}]*)?\}\}/g)].map(([, name]) => name!)

t.test('every variable of a .http file has a value, from the file or from the answer of an earlier request', async t => {
  for (const file of ['v1.http', 'v2.http']) {
    const known = new Set<string>()
    let count = 0
    for (const line of files[`clients/http/${file}`]!.split('\n')) {
      for (const name of used(line)) {
        t.ok(known.has(name), `${file}: ${line}`)
        count++
      }
      const [, name] = /^# @name (\w+)$/.exec(line) ?? /^@(\w+) = /.exec(line) ?? []
      if (name !== undefined) {
        t.notOk(known.has(name), `${file}: ${name} has one source`)
        known.add(name)
      }
    }
    t.ok(count > 10, `${count} uses of variables`)
    for (const { body, url } of httpRequests(file)) if (body !== undefined) t.ok(JSON.parse(body), url)
  }
})

t.test('every variable of the Bruno story has a value, from the environment or from an earlier step', async t => {
  const environment = parse(files['clients/bruno/environments/local.yml']!) as { variables: { name: string }[] }
  const known = new Set(environment.variables.map(({ name }) => name))
  const story = bruno.filter(({ file }) => file.startsWith('story/')).sort((a, b) => a.content.info.seq - b.content.info.seq)
  t.ok(story.length >= 10, `${story.length} steps`)
  for (const { file, content: { http, runtime: { scripts = [], assertions } } } of story) {
    const scriptsOf = (type: string) => scripts.filter(script => script.type === type).map(({ code }) => code).join('\n')
    const set = (code: string) => { for (const [, name] of code.matchAll(/bru\.setVar\('(\w+)'/g)) known.add(name!) }
    set(scriptsOf('before-request'))
    for (const name of used(JSON.stringify(http)).filter(name => name !== 'guid')) t.ok(known.has(name), `${file}: ${name}`)
    set(scriptsOf('after-response'))
    t.match(assertions, [{ value: /^2\d\d$/ }], `${file} expects a success`)
    if (http.body !== undefined) t.ok(JSON.parse(http.body.data), file)
    // A syntax error would be found only when the collection is run.
    for (const { code } of scripts) t.ok(new Function(`return async (bru, res) => { ${code} }`), file) // eslint-disable-line no-new-func -- it is only parsed
  }
})
