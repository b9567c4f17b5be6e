import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

/** Debian's. */
export const CHROMIUM = '/usr/bin/chromium'

/** Starts Debian's Chromium, for pictures. Ends the script with one line when there is none. */
export async function openChromium (args: string[] = []): Promise<Browser> {
  if (!existsSync(CHROMIUM)) {
    console.error(`There are no pictures without ${CHROMIUM}: apt-get install chromium`)
    process.exit(1)
  }
  const { chromium } = await import('playwright-core')
  return await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', ...args] })
}
