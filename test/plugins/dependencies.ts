import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'

type Plugin = ReturnType<typeof fp>

/** Checks that a plugin goes by a name, and that it does not load without any one of the plugins that it needs. */
export function checkDependencies (name: string, plugin: unknown, needed: string[]): void {
  t.test(`${name} is not loaded without any one of the plugins that it needs`, async t => {
    for (const lacking of needed) {
      const app = Fastify()
      for (const other of needed) if (other !== lacking) await app.register(fp(async () => {}, { name: other }))
      await t.rejects(async () => await app.register(plugin as Plugin), { message: `The dependency '${lacking}' of plugin '${name}' is not registered` })
      await app.close()
    }
  })
}
