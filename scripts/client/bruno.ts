import { stringify } from 'yaml'
import { operationsOf, type Document } from './document.ts'
import { givenVariables, orderedOperations, samplesOf, type SampleRequest } from './requests.ts'

const HEADER = '# Generated from docs/openapi/ by npm run client.\n'

// No line is folded: one value stays one line in a difference.
const yaml = (value: object) => HEADER + stringify(value, { lineWidth: 0 })

const fileName = (name: string) => `${name.replace(/ \((\w+)\)$/, '-$1')}.yml`

/** Ends a request when the answer is not the success that the document promises. */
const assertion = (status: number) => ({ expression: 'res.status', operator: 'eq', value: String(status) })

function captureScript (captures: SampleRequest['captures']): string {
  const lines = captures.map(([variable, place]) => `if (${place.replaceAll('.', '?.').replaceAll('??.', '?.')} !== undefined) bru.setVar('${variable}', ${place})`)
  return ['const body = res.getBody()', ...lines].join('\n')
}

interface RequestOptions {
  seq: number
  name?: string
  body?: unknown
  before?: string | undefined
  after?: string | undefined
}

function requestFile (sample: SampleRequest, { seq, name = sample.name, body = sample.body, before, after }: RequestOptions): string {
  const { operation, path, query, headers, captures, status } = sample
  const scripts = [
    ...(before === undefined ? [] : [{ type: 'before-request', code: before }]),
    ...(captures.length === 0 && after === undefined ? [] : [{ type: 'after-response', code: [...(captures.length === 0 ? [] : [captureScript(captures)]), ...(after === undefined ? [] : [after])].join('\n') }])
  ]
  const all = [
    ...(operation.body === undefined ? [] : [['content-type', operation.body.contentType]]),
    ...headers
  ]
  return yaml({
    info: { name, type: 'http', seq, tags: [operation.tag] },
    http: {
      method: operation.method,
      url: `{{baseUrl}}${path}`,
      ...(all.length === 0 ? {} : { headers: all.map(([name, value]) => ({ name, value })) }),
      ...(query.length === 0 ? {} : { params: query.map(({ name, value, isOptional }) => ({ name, value, type: 'query', ...(isOptional ? { disabled: true } : {}) })) }),
      ...(body === undefined ? {} : { body: { type: 'json', data: JSON.stringify(body, undefined, 2) } }),
      ...(operation.isSecured ? { auth: { type: 'bearer', token: '{{accessToken}}' } } : {})
    },
    runtime: {
      ...(scripts.length === 0 ? {} : { scripts }),
      assertions: [assertion(status)]
    },
    docs: [operation.summary, operation.description].filter(text => text !== undefined).join('\n\n')
  })
}

/** Reads the newest code in the local inbox, and comes back to itself until a mail with a new code is there. */
const readCode = (name: string) => `const to = bru.getVar('email')
const mails = res.getBody().filter(mail => mail.to.some(({ address }) => address === to))
const newest = mails.sort((a, b) => a.time.localeCompare(b.time)).at(-1)
const code = /\\b\\d{8}\\b/.exec(newest?.text ?? '')?.[0]
const tries = bru.getVar('tries') ?? 0
if (code !== undefined && code !== bru.getVar('code')) {
  bru.setVar('code', code)
  bru.setVar('tries', 0)
} else if (tries < 50) {
  bru.setVar('tries', tries + 1)
  await bru.sleep(200)
  bru.runner.setNextRequest('${name}')
} else {
  throw new Error('no mail with a new code has come')
}`

function mailFile (name: string, seq: number): string {
  return yaml({
    info: { name, type: 'http', seq },
    http: { method: 'GET', url: '{{inbox}}/api/email' },
    runtime: { scripts: [{ type: 'after-response', code: readCode(name) }], assertions: [assertion(200)] },
    docs: 'Reads the code from the inbox of `npm start`. Elsewhere, set the variable `code` by hand.'
  })
}

interface Step {
  /** the operation, with the kind of its body; `mail` reads the code from the inbox */
  send: string
  /** what this step does for the user */
  title: string
  body?: Record<string, unknown>
  before?: string
  after?: string
  /** the step is left out when the document lacks this operation */
  needs?: string
}

const MAIL = 'mail'

/** Codes for one address are limited, so each run has addresses of its own. */
const newEmail = (name: string) => `bru.setVar('email', '${name}.' + Date.now() + '@example.com')`

/** One user's way through the service. Steps for operations that the document does not have are left out. */
const STORY: Step[] = [
  { send: 'users.create', title: 'Register', before: newEmail('ada') },
  { send: MAIL, title: 'Read the code in the welcome mail' },
  { send: 'auth.createTokens (code)', title: 'Sign in' },
  { send: 'users.getMe', title: 'Read the account' },
  { send: 'users.updateMe', title: 'Change the name' },
  { send: 'users.changeEmail', title: 'Change the address', before: newEmail('countess') },
  { send: MAIL, title: 'Read the code in the mail to the new address', needs: 'users.changeEmail' },
  { send: 'auth.verify', title: 'Confirm the new address', needs: 'users.changeEmail' },
  { send: 'auth.createTokens (refresh_token)', title: 'Refresh the tokens' },
  { send: 'avatars.create', title: 'Request the upload of an avatar' },
  { send: 'avatars.delete', title: 'Remove the avatar' },
  { send: 'auth.createChallenge', title: 'Ask for a code for a second session' },
  { send: MAIL, title: 'Read the code in the sign-in mail' },
  { send: 'auth.createTokens (code)', title: 'Sign in on a second device' },
  { send: 'sessions.list', title: 'List the sessions' },
  { send: 'sessions.end', title: 'End the first session' },
  { send: 'users.export', title: 'Export everything' },
  { send: 'users.deleteMe', title: 'Delete the account' }
]

function makeStory (document: Document): Record<string, string> {
  const samples = new Map(operationsOf(document).flatMap(samplesOf).map(sample => [sample.name, sample]))
  const has = (id: string) => [...samples.values()].some(({ operation }) => operation.id === id)
  const steps = STORY.filter(({ send, needs }) => (send === MAIL || samples.has(send)) && (needs === undefined || has(needs)))
  return Object.fromEntries(steps.map(({ send, title, body, before, after }, i) => {
    const seq = i + 1
    const file = `story/${String(seq).padStart(2, '0')}-${title.toLowerCase().replaceAll(' ', '-')}.yml`
    const sample = samples.get(send)
    return [file, sample === undefined ? mailFile(title, seq) : requestFile(sample, { seq, name: title, before, after, ...(body === undefined ? {} : { body: { ...sample.body as object, ...body } }) })]
  }))
}

const folderFile = (name: string, seq: number, docs: string) => yaml({ info: { name, type: 'folder', seq }, docs })

/** A collection in OpenCollection's YAML, the format of new collections since Bruno 3.1: every operation in the folder of its tag, and one user's story. */
export function makeBruno ({ v1, v2 }: { v1: Document, v2: Document }): Record<string, string> {
  const files: Record<string, string> = {
    'opencollection.yml': yaml({ opencollection: '1.0.0', info: { name: 'User service', version: '1' }, docs: 'Every operation of the user service. Start it with `npm start`, choose the environment `local`, and run the folder `story` from top to bottom.' }),
    'environments/local.yml': yaml({
      name: 'local',
      variables: Object.entries({ baseUrl: 'http://localhost:3000', inbox: 'http://localhost:1080', email: 'ada@example.com', ...givenVariables([v1, v2].flatMap(operationsOf).flatMap(samplesOf)) }).map(([name, value]) => ({ name, value }))
    }),
    'story/folder.yml': folderFile('story', 1, 'One user registers, signs in, changes the account and deletes it.'),
    ...makeStory(v2)
  }
  for (const [i, { name, description }] of v2.tags.entries()) files[`${name}/folder.yml`] = folderFile(name, i + 2, description)
  files['v1/folder.yml'] = folderFile('v1', v2.tags.length + 2, `${v1.info.title}: frozen.`)
  for (const [document, folderOf] of [[v2, (tag: string) => tag], [v1, () => 'v1']] as const) {
    const seqs = new Map<string, number>()
    for (const sample of orderedOperations(document).flatMap(samplesOf)) {
      const folder = folderOf(sample.operation.tag)
      const seq = (seqs.get(folder) ?? 0) + 1
      seqs.set(folder, seq)
      files[`${folder}/${fileName(sample.name)}`] = requestFile(sample, { seq })
    }
  }
  return files
}
