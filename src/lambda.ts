import { start } from './lambda/start.ts'

/** The handler of every event source. Everything is done while Lambda initialises: that phase has more CPU than an event, and runs before the first one. */
export const handler = await start(import.meta.dirname)
