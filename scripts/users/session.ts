import { CloudFormationClient } from '@aws-sdk/client-cloudformation'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createUserService, ProblemError, type RetryOptions, type StoredTokens, type TokenStorage, type UserService } from '../../clients/typescript/src/index.ts'
import { replaceFile } from '../../local/replace-file.ts'
import { codeFor, deriveMailKeys } from '../../src/plugins/keys/derive.ts'
import { ask, Failure, UsageError } from '../command.ts'
import { readLocalEnv } from '../local-env.ts'
import { SEEDED_ADMIN } from '../seeded-admin.ts'
import { outputsOf } from '../stack-outputs.ts'
import { addressOf, findStack } from '../stack.ts'

/** The service that the commands are sent to, and the session of an admin there. */
export interface Target {
  url: string
  /** file with the tokens of the session */
  sessionFile: string
  /** the secret of codes of the running npm start, with which the code for its admin need not be read in the inbox */
  codeSecret: string | undefined
}

/** @throws {UsageError} when there is no such service */
export async function targetOf ({ url, stack }: { url: string | undefined, stack: string | undefined }): Promise<Target> {
  if (url !== undefined && stack !== undefined) throw new UsageError('--url and --stack are both given: say one of them')
  if (url === undefined && stack === undefined) {
    const { PUBLIC_URL, CODE_SECRET, JWT_SECRET } = readLocalEnv()
    return { url: PUBLIC_URL!, sessionFile: join(process.env['LOCAL_DATA_DIR']?.trim() || '.local', 'users-session.json'), codeSecret: CODE_SECRET ?? JWT_SECRET }
  }
  const address = url ?? await addressOfStack(stack!)
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) throw new UsageError('--url is not an http or https URL')
  const { protocol, hostname, host, pathname } = new URL(address)
  // The tokens of an admin would be readable on the way.
  if (protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname)) throw new UsageError('--url must begin with https, except on this machine')
  const directory = process.env['XDG_CONFIG_HOME']?.trim() || join(homedir(), '.config')
  return { url: address.replace(/\/$/, ''), sessionFile: join(directory, 'user-service', `${`${host}${pathname}`.replace(/\W+/g, '-').replace(/-$/, '')}.json`), codeSecret: undefined }
}

async function addressOfStack (stack: string): Promise<string> {
  await outputsOf(stack, ['PublicUrl']) // says what is wrong with the name
  const client = new CloudFormationClient({})
  try {
    return addressOf((await findStack(client, stack))!)
  } finally {
    client.destroy()
  }
}

/** Keeps tokens in a file that only its owner can read. Written before a new token is used, so that no interruption loses it. */
function fileStorage (file: string): TokenStorage {
  return {
    get () {
      try {
        return JSON.parse(readFileSync(file, 'utf8')) as StoredTokens
      } catch {
        return undefined // none yet, or not one
      }
    },
    set (tokens) {
      if (tokens === undefined) return rmSync(file, { force: true })
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
      replaceFile(file, JSON.stringify(tokens), { mode: 0o600 })
    }
  }
}

const clientOf = ({ url, sessionFile }: Target, retry?: RetryOptions): UserService => createUserService({ baseUrl: url, storage: fileStorage(sessionFile), retry })

/** Milliseconds for the background work of the local service, which opens the challenge of a code. */
const PATIENCE = 10_000

async function exchange (service: UserService, challengeId: string, code: string, patience: number): Promise<void> {
  for (const end = Date.now() + patience; ; await sleep(50)) {
    try {
      await service.signIn({ challengeId, code })
      return
    } catch (error) {
      if (!(error instanceof ProblemError) || error.status !== 401 || Date.now() > end) throw error
    }
  }
}

/** Starts a session: by the code from the mail, or locally by the code itself. */
export async function signIn (target: Target, email: string): Promise<void> {
  const service = clientOf(target)
  const { data: { challengeId } } = await service.auth.createChallenge({ body: { email } })
  if (target.codeSecret !== undefined) return await exchange(service, challengeId, codeFor(deriveMailKeys(target.codeSecret).code, challengeId), PATIENCE)
  if (!process.stdin.isTTY) throw new UsageError('There is no terminal on which to ask for the code in the mail')
  await exchange(service, challengeId, (await ask(`The code in the mail to ${email}: `)).trim(), 0)
}

export const signOut = async (target: Target): Promise<void> => await clientOf(target).signOut()

/** A client with the session of an admin. Locally it signs in by itself. */
export async function clientFor (target: Target, as: string | undefined, retry?: RetryOptions): Promise<UserService> {
  const service = clientOf(target, retry)
  const tokens = await service.tokens()
  const isOther = as !== undefined && tokens !== undefined && tokens.user.email !== as
  if (tokens !== undefined && !isOther) {
    try {
      await service.users.getMe()
      return service
    } catch (error) {
      // Of another data directory, or ended since.
      if (!(error instanceof ProblemError) || error.status !== 401) throw error
    }
  }
  if (target.codeSecret === undefined) throw new UsageError(`${isOther ? `${tokens.user.email} is signed in, and not ${as}` : 'No admin is signed in'}: npm run users -- sign-in --as ADDRESS, with the same --url or --stack`)
  const email = as ?? SEEDED_ADMIN
  try {
    await signIn(target, email)
  } catch (error) {
    if (!(error instanceof ProblemError) || error.status !== 401) throw error
    throw new Failure(`${email} has no account here: npm run seed makes an admin, ${SEEDED_ADMIN}`)
  }
  return service
}
