import t from 'tap'
import { avatarIdIn, avatarIdOf, avatarKey, declaredIn, incomingKey, orderOf, pathOf, prefixesOf } from '../../../src/modules/uploads/keys.ts'

const USER = '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'
const PART = '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'
const AVATAR = `1795348800000-${PART}`

t.test('an avatar has its order in its id, and ids sort by it', async t => {
  t.equal(avatarIdOf(1_795_348_800_000, PART), AVATAR)
  t.equal(avatarIdOf(7, PART), `0000000000007-${PART}`)
  for (const order of [0, 7, 1_795_348_800_000]) t.equal(orderOf(avatarIdOf(order, PART)), order)
})

t.test('the names of objects say whose they are, and a picture\'s name is in its address', async t => {
  t.equal(avatarKey(USER, AVATAR), `avatars/${USER}/${AVATAR}`)
  t.equal(pathOf(USER, AVATAR), `/avatars/${USER}/${AVATAR}`)
  t.equal(avatarIdIn(avatarKey(USER, AVATAR)), AVATAR)
  t.strictSame(prefixesOf(USER), { incoming: `incoming/${USER}/`, avatars: `avatars/${USER}/` })
})

t.test('the name of an upload holds what was declared', async t => {
  for (const [type, ending] of [['image/png', 'png'], ['image/jpeg', 'jpeg'], ['image/webp', 'webp']] as const) {
    for (const size of [1, 10, 999_999, 1_000_000, 5 * 1024 * 1024]) {
      const key = incomingKey({ userId: USER, avatarId: AVATAR, type, size })
      t.equal(key, `incoming/${USER}/${AVATAR}.${size}.${ending}`)
      t.strictSame(declaredIn(key), { userId: USER, avatarId: AVATAR, type, size })
    }
  }
})

t.test('a name that this service did not make declares nothing', async t => {
  const good = `incoming/${USER}/${AVATAR}.10.png`
  t.ok(declaredIn(good))
  for (const key of [
    '', 'incoming/', 'x', good.replace('incoming/', 'avatars/'), good.replace('incoming/', ''), `x${good}`, `${good}incoming/`, `${good}/`, `${good}/x`, `${good}.x`, `${good}/x.y`, `incoming/${good}`,
    good.replace(USER, USER.toUpperCase()), good.replace(USER, `${USER}x`), good.replace(USER, ''), `incoming/${AVATAR}.10.png`,
    good.replace(AVATAR, PART), good.replace(AVATAR, `x${AVATAR}`), good.replace(AVATAR, `${AVATAR}x`), good.replace(AVATAR, ''), good.replace('-0b8f', '-zzzz'), good.replace('1795348800000', '179534880000'), good.replace('1795348800000', '17953488000000'),
    good.replace('.10.', '.0.'), good.replace('.10.', '.010.'), good.replace('.10.', '.-10.'), good.replace('.10.', '.1e3.'), good.replace('.10.', '.10x.'), good.replace('.10.', '.x10.'), good.replace('.10.', '..'), good.replace('.10.', '.'), good.replace('.10.', '.10000000.'), good.replace('.10.', '.5242881.'),
    good.replace('.png', '.svg'), good.replace('.png', '.'), good.replace('.png', ''), good.replace('.png', '.PNG'), good.replace('.png', '.undefined')
  ]) t.equal(declaredIn(key), undefined, key)
})
