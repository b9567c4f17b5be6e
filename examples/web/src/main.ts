import { createUserService, ProblemError, webStorage, type Session, type User } from '../../../clients/typescript/src/index.ts'
import { explain } from './explain.ts'
import { element, fill, isShown, onPress, onSubmit, say, show } from './view.ts'

// In a project of your own, the client is the package in clients/typescript.

/** Where the service is. serve.ts writes it into the bundle. */
declare const API_URL: string

const TOKENS = 'example-app.tokens'
const PENDING = 'example-app.pending'
const PICTURE_TIMEOUT_MS = 30_000

const service = createUserService({
  baseUrl: API_URL,
  // A page without a backend of its own: the tokens survive a reload, in all tabs, and the page's policy allows no script but its
  // own. docs/integrate.md weighs the places; with a backend, take its cookie.
  storage: webStorage(localStorage, TOKENS),
  // A user who waits at a form prefers an answer to a long retry.
  retry: { attempts: 2, totalMs: 3000 },
  onSessionEnd () {
    show('sign-in')
    say('Your session has ended. Sign in again.')
  }
})

// --- the account

/** of the account that is shown */
let userId: string | undefined
let etag: string | undefined

function showUser ({ id, name, email, avatarUrl }: User): void {
  userId = id
  fill('account', { name, email })
  element<HTMLInputElement>('name').value = name
  const avatar = element<HTMLImageElement>('avatar')
  avatar.hidden = avatarUrl === undefined
  element('no-avatar').hidden = avatarUrl !== undefined
  element('no-avatar').textContent = [...name][0]!.toUpperCase()
  if (avatarUrl !== undefined) avatar.src = avatarUrl
}

/** A User-Agent as users know it, such as "Chrome on Windows". */
function nameOf (device = ''): string {
  const find = (names: Record<string, string>) => Object.entries(names).find(([part]) => device.includes(part))?.[1]
  const browser = find({ Edg: 'Edge', OPR: 'Opera', Firefox: 'Firefox', Chrome: 'Chrome', Safari: 'Safari' })
  const system = find({ Windows: 'Windows', Android: 'Android', iPhone: 'iPhone', iPad: 'iPad', 'Mac OS': 'Mac', Linux: 'Linux' })
  return browser === undefined || system === undefined ? device || 'A device without a name' : `${browser} on ${system}`
}

function showSessions (items: Session[]): void {
  element('sessions').replaceChildren(...items.map(({ id, device: userAgent, lastUsedAt, current }) => {
    const item = document.createElement('li')
    const text = document.createElement('span')
    const device = nameOf(userAgent)
    const time = new Date(lastUsedAt).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
    text.textContent = current ? `${device} (this browser)` : `${device}, last used ${time}`
    item.append(text)
    if (!current) {
      const button = document.createElement('button')
      button.type = 'button'
      button.className = 'secondary'
      button.textContent = 'End'
      button.ariaLabel = `End the session of ${device}, last used ${time}`
      onPress(button, async () => {
        await service.sessions.end({ path: { id } })
        showSessions((await service.sessions.list()).data.items)
        element('account').querySelector('h1')!.focus()
        say('The session has ended.')
      }, explain, element('sessions-error'))
      item.append(button)
    }
    return item
  }))
}

/** Shows the account, with one refresh for both calls if the access token has expired. */
async function showAccount (): Promise<void> {
  const [me, sessions] = await Promise.all([service.users.getMe(), service.sessions.list()])
  etag = me.etag
  showUser(me.data)
  showSessions(sessions.data.items)
  show('account')
}

/** The account if a user is signed in, and the form otherwise. */
async function start (): Promise<void> {
  if (await service.tokens() !== undefined) {
    sessionStorage.removeItem(PENDING)
    try {
      return await showAccount()
    } catch (error) {
      if (error instanceof ProblemError && error.status === 401) return // onSessionEnd has shown the form
      fill('done', { title: 'Your account cannot be shown', outcome: explain(error)[0] })
      return show('done')
    }
  }
  const pending = sessionStorage.getItem(PENDING)
  if (pending === null) return show('sign-in')
  fill('enter-code', { email: (JSON.parse(pending) as Pending).email })
  show('enter-code')
}

// --- sign in and register

interface Pending {
  challengeId: string
  email: string
}

function waitForCode (pending: Pending): void {
  // The tab that waits: a reload does not lose it.
  sessionStorage.setItem(PENDING, JSON.stringify(pending))
  fill('enter-code', { email: pending.email })
  element<HTMLInputElement>('code').value = ''
  show('enter-code')
}

async function signIn (challengeId: string, code: string): Promise<void> {
  await service.signIn({ challengeId, code })
  sessionStorage.removeItem(PENDING)
  await showAccount()
  say('You are signed in.')
}

const textIn = (fields: FormData, name: string): string => String(fields.get(name)).trim()

onSubmit(element('sign-in').querySelector('form')!, async fields => {
  const email = textIn(fields, 'email')
  say('Sending …')
  const { data } = await service.auth.createChallenge({ body: { email } })
  waitForCode({ challengeId: data.challengeId, email })
}, explain)

onSubmit(element('register').querySelector('form')!, async fields => {
  const email = textIn(fields, 'email')
  say('Sending …')
  const { data } = await service.users.create({ body: { email, name: textIn(fields, 'name') } })
  waitForCode({ challengeId: data.challengeId, email })
}, explain)

onSubmit(element('enter-code').querySelector('form')!, async fields => {
  const pending = sessionStorage.getItem(PENDING)
  if (pending === null) return show('sign-in')
  say('Signing in …')
  await signIn((JSON.parse(pending) as Pending).challengeId, textIn(fields, 'code').replace(/\s/g, ''))
}, explain)

onPress(element('to-register'), () => show('register'), explain)
onPress(element('to-sign-in'), () => show('sign-in'), explain)
onPress(element('start-over'), () => {
  sessionStorage.removeItem(PENDING)
  show('sign-in')
}, explain)

// --- the link of a mail: VERIFY_URL#challengeId=…&code=…, and &action=change or &action=undo

interface Link {
  challengeId: string
  code: string
  action?: string
}

const LINKS: Record<string, { title: string, lead: string, button: string, done: string, outcome: string }> = {
  change: { title: 'Confirm your new address', lead: 'Press the button to make this the address of your account. Other devices are signed out.', button: 'Confirm', done: 'Your address has been changed', outcome: 'Your account now has this address.' },
  undo: { title: 'Undo the change of your address', lead: 'Press the button to give your account its former address back. Every device is signed out.', button: 'Undo the change', done: 'The change has been undone', outcome: 'Sign in with your former address.' }
}

let link: Link | undefined

/** Programs that scan mails open links, so nothing happens before a button is pressed. */
function readLink (): boolean {
  const { challengeId, code, action } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
  // Challenge and code must not stay where they can be seen, synced or shared.
  if (location.hash !== '') history.replaceState(null, '', location.pathname)
  if (challengeId === undefined || code === undefined) return false
  link = { challengeId, code, ...(action === undefined ? {} : { action }) }
  const words = LINKS[action ?? '']
  const { title, lead, button } = words ?? { title: 'Sign in', lead: 'Press the button to sign in with this browser.', button: 'Sign in' }
  fill('link', { title, lead, button })
  element('show-code').hidden = words !== undefined
  show('link')
  return true
}

onSubmit(element('link').querySelector('form')!, async () => {
  const { challengeId, code, action } = link!
  const words = LINKS[action ?? '']
  if (words === undefined) return await signIn(challengeId, code)
  // Confirms, and gives no tokens.
  await service.auth.verify({ body: { challengeId, code } })
  fill('done', { title: words.done, outcome: words.outcome })
  show('done')
}, explain)

// For a user who reads mails on this device and waits on another one. The code stays good there, once.
onPress(element('show-code'), async () => {
  const { challengeId, code } = link!
  await service.auth.verify({ body: { challengeId, code } })
  fill('code-shown', { code: `${code.slice(0, 4)} ${code.slice(4)}` })
  show('code-shown')
}, explain, element('link-error'))

onPress(element('go-on'), start, explain)

// --- change the profile

onSubmit(element('rename'), async fields => {
  try {
    const answer = await service.users.updateMe({ body: { name: textIn(fields, 'name') }, ifMatch: etag })
    etag = answer.etag
    showUser(answer.data)
    say('Your name is saved.')
  } catch (error) {
    if (error instanceof ProblemError && error.status === 412) {
      const me = await service.users.getMe()
      etag = me.etag
      showUser(me.data)
    }
    throw error
  }
}, explain)

onSubmit(element('upload'), async fields => {
  const file = fields.get('picture') as File
  say('Uploading …')
  const before = (await service.users.getMe()).data.avatarUrl
  const { data: upload } = await service.avatars.create({ body: { contentType: file.type as 'image/png', size: file.size } })
  // The picture goes straight to S3, with the fields of the form first.
  const form = new FormData()
  for (const [name, value] of Object.entries(upload.fields)) form.append(name, value)
  form.append('file', file)
  const answer = await fetch(upload.url, { method: 'POST', body: form })
  if (!answer.ok) throw new Error(`the upload answered ${answer.status}`)
  say('Checking the picture …')
  const deadline = Date.now() + PICTURE_TIMEOUT_MS
  while (Date.now() < deadline) {
    const me = await service.users.getMe()
    if (me.data.avatarUrl !== before) {
      etag = me.etag
      showUser(me.data)
      element<HTMLFormElement>('upload').reset()
      return say('Your picture is saved.')
    }
    await new Promise(resolve => setTimeout(resolve, 500))
  }
  say('The picture was not accepted. Is it a PNG, JPEG or WebP that other programs show?')
}, explain)

// --- sign out

onPress(element('sign-out'), async () => {
  await service.signOut().catch(() => {}) // the tokens are forgotten all the same
  show('sign-in')
  say('You are signed out.')
}, explain, element('sessions-error'))

onPress(element('sign-out-everywhere'), async () => {
  await service.sessions.endAll()
  await service.signOut().catch(() => {})
  show('sign-in')
  say('You are signed out everywhere.')
}, explain, element('sessions-error'))

// --- other tabs, and links that open in this one

window.addEventListener('storage', ({ key, newValue }) => {
  if (key !== TOKENS || isShown('link')) return
  // Another tab has signed in, by the link of a mail for example, or signed out. A refresh changes nothing here.
  const other = newValue === null ? undefined : (JSON.parse(newValue) as { user: User }).user.id
  if (other !== (isShown('account') ? userId : undefined)) void start()
})
window.addEventListener('hashchange', readLink)
if (!readLink()) void start()
