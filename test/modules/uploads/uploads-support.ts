import type { Test } from 'tap'
import type { Upload } from '../../../src/modules/uploads/contract.ts'
import { adminOf, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { startEventBus } from '../../event-bus.ts'
import { pump } from '../../pump.ts'
import { png } from './pictures.ts'
import { avatarsOf, type Caller } from './support.ts'

/** The app on its engines, and what the tests of avatars do with it. */
export async function startUploads (t: Test) {
  const engines = await startEngines(t)
  const bus = await startEventBus(t)
  const app = await buildTestApp(t, engines, { env: bus.env })
  const admin = await adminOf(app)
  const { ask, form, send, remove, me, show, keysOf, head, bytes, put, notify } = avatarsOf(t, app, engines)

  let n = 0
  const newCaller = async (): Promise<Caller> => await signIn(app, engines, `avatar-${++n}@example.com`)
  const settle = () => pump(app, engines)
  const keyOf = ({ fields }: Upload) => fields['key']!

  /** Uploads a picture and has it checked; resolves to the caller's `avatarUrl`. */
  async function upload (caller: Caller, file: Buffer = png(), type?: string): Promise<string | undefined> {
    await send(await form(caller, file, type), file)
    await settle()
    return (await me(caller)).avatarUrl
  }

  return { engines, bus, app, admin, ask, form, send, remove, me, show, keysOf, head, bytes, put, notify, newCaller, settle, keyOf, upload }
}
