import { type Recipes } from '../../contract/recipes.ts'
import { unknownId, type Account, type World } from '../../contract/world.ts'
import { png } from './pictures.ts'

const NO_BUCKET = 'needs a service without a bucket: test/modules/uploads/uploads.test.ts'

const picture = png()
const AVATAR = { contentType: 'image/png', size: picture.length }

/** Uploads a picture; the path of its address, once it has been checked. */
async function avatarOf (world: World, { accessToken: token }: Account): Promise<{ userId: string, avatarId: string }> {
  const { url, fields } = await world.call<{ url: string, fields: Record<string, string> }>('POST', '/v2/users/me/avatar', { token, body: AVATAR })
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  form.append('file', new Blob([new Uint8Array(picture)]), 'me.png')
  await fetch(url, { method: 'POST', body: form })
  await world.deliver()
  const { avatarUrl } = await world.call<{ avatarUrl: string }>('GET', '/v2/users/me', { token })
  const [userId, avatarId] = new URL(avatarUrl).pathname.split('/').slice(-2)
  return { userId: userId!, avatarId: avatarId! }
}

// Two requests differ, so that one is not a repetition of the other.
let nextSize = 1000

const avatars = new Map<string, ReturnType<typeof avatarOf>>()

/** What the contract test (test/contract) cannot read from the documents about the operations of this module. */
export const RECIPES: Recipes = {
  'avatars.get': {
    async success (world, owner) {
      const avatar = avatars.get(owner.id) ?? avatarOf(world, owner)
      avatars.set(owner.id, avatar)
      return { path: await avatar }
    },
    outcomes: { 404: (_, { id }) => ({ path: { userId: id, avatarId: `1795651200000-${unknownId()}` } }) }
  },
  'avatars.create': { success: () => ({ body: { ...AVATAR, size: nextSize++ } }), unseen: { 404: NO_BUCKET } },
  // The owner's picture stays for avatars.get.
  'avatars.delete': { consumes: true, success: () => ({}), unseen: { 404: NO_BUCKET } }
}
