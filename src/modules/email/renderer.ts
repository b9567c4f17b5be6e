import type { Brand, MailContent, RenderedMail } from './templates/index.ts'

export interface Renderer {
  /** Reads and checks the templates, once. */
  load (): Promise<void>
  render (mail: MailContent): Promise<RenderedMail>
}

/** Makes mails. Loaded with the first mail, because most processes send none. */
export function createRenderer (options: Brand & { directory?: string | undefined }): Renderer {
  let loading: ReturnType<typeof start> | undefined
  const start = async () => await (await import('./templates/index.ts')).createRenderer(options)
  const load = async () => await (loading ??= start().catch((error: unknown) => {
    loading = undefined // a file that could not be opened now may be opened with the next mail
    throw error
  }))
  return {
    async load () { await load() },
    async render (mail) { return (await load())(mail) }
  }
}
