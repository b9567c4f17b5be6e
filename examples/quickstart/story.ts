// One user's way through the service, with the typed client. With npm start running in another terminal:
//
//   npm exec -- node examples/quickstart/story.ts
//
// API_URL and INBOX_URL say where the service and the inbox are, when they are not at their usual ports.
// In a project of your own, the client is the package in clients/typescript.
import { createUserService, ProblemError } from '../../clients/typescript/src/index.ts'

const { API_URL: baseUrl = 'http://localhost:3000', INBOX_URL: inbox = 'http://localhost:1080' } = process.env

const say = (text: string) => console.log(text)

/** The code for a challenge, from the inbox of npm start. In production the user types it from the mail. */
async function codeFor (challengeId: string): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const mails = await (await fetch(`${inbox}/api/email`)).json() as { text?: string }[]
    // The link of a mail has its challenge and its code.
    const link = mails.map(({ text = '' }) => new RegExp(`challengeId=${challengeId}&code=(\\d{8})`).exec(text)).find(match => match !== null)
    if (link?.[1] !== undefined) return link[1]
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  throw new Error(`no mail has come to ${inbox}`)
}

await fetch(`${baseUrl}/health/live`).catch(() => {
  console.error(`No service answers at ${baseUrl}. Start it with npm start, or set API_URL and INBOX_URL.`)
  process.exit(1)
})

// One client for each device: this one is the laptop.
const laptop = createUserService({ baseUrl })
const email = `ada.${Date.now()}@example.com`

// --- register and sign in
const { data: registration } = await laptop.users.create({ body: { email, name: 'Ada Lovelace', locale: 'en' } })
const user = await laptop.signIn({ challengeId: registration.challengeId, code: await codeFor(registration.challengeId) })
say(`registered and signed in: ${user.name}, ${user.status}`)

// --- change the name, but only if the account is still as it was read
const { data: me, etag } = await laptop.users.getMe()
const { data: renamed } = await laptop.users.updateMe({ body: { name: 'Ada King' }, ifMatch: etag })
say(`changed the name: ${me.name} is ${renamed.name} now`)

// --- a mistake is a typed error
try {
  await laptop.users.updateMe({ body: { name: 'x' } })
} catch (error) {
  if (!(error instanceof ProblemError)) throw error
  say(`a bad name is refused: ${error.code}, ${error.errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join(', ')}`)
}

// --- change the address: the code goes to the new one
const { data: change } = await laptop.users.changeEmail({ body: { email: `countess.${Date.now()}@example.com` } })
await laptop.auth.verify({ body: { challengeId: change.challengeId, code: await codeFor(change.challengeId) } })
const { data: moved } = await laptop.users.getMe()
say(`changed the address: ${user.email} is ${moved.email} now`)

// --- an avatar: the picture goes straight to S3, and appears once it has been checked
const picture = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
const { data: upload } = await laptop.avatars.create({ body: { contentType: 'image/png', size: picture.length } })
const form = new FormData()
for (const [name, value] of Object.entries(upload.fields)) form.append(name, value)
form.append('file', new Blob([picture], { type: 'image/png' }))
const uploaded = await fetch(upload.url, { method: 'POST', body: form })
if (!uploaded.ok) throw new Error(`the upload answered ${uploaded.status}`)
let avatarUrl: string | undefined
for (let tries = 0; tries < 100 && avatarUrl === undefined; tries++) {
  avatarUrl = (await laptop.users.getMe()).data.avatarUrl
  if (avatarUrl === undefined) await new Promise(resolve => setTimeout(resolve, 200))
}
say(`uploaded an avatar: ${avatarUrl}`)

// --- a second session, on the phone
const phone = createUserService({ baseUrl })
const { data: challenge } = await phone.auth.createChallenge({ body: { email: moved.email } })
await phone.signIn({ challengeId: challenge.challengeId, code: await codeFor(challenge.challengeId) })
say('signed in on a second device')

// --- a lost device: end its session
const { data: { items: sessions } } = await laptop.sessions.list()
say(`${sessions.length} sessions`)
const lost = createUserService({ baseUrl })
const { data: third } = await lost.auth.createChallenge({ body: { email: moved.email } })
await lost.signIn({ challengeId: third.challengeId, code: await codeFor(third.challengeId) })
const [newest] = (await laptop.sessions.list()).data.items
await laptop.sessions.end({ path: { id: newest!.id } })
say(`ended a session, ${(await laptop.sessions.list()).data.items.length} are left`)

// --- export everything that is stored
const { data: exported } = await laptop.users.export()
say(`exported: ${Object.keys(exported).join(', ')}`)

// --- delete the account: both sessions end
await laptop.users.deleteMe()
const after = await phone.users.getMe().catch((error: unknown) => error)
if (!(after instanceof ProblemError) || after.status !== 401) throw new Error('the second session still works')
say('deleted the account, and both sessions with it')
