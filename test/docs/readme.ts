import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ROOT } from './documents.ts'

interface Source {
  page: string
  /** what the page says: its groups are the figures, in the order of the README */
  says: RegExp
}

const promise = (number: number, figure: string): Source => ({ page: 'docs/promises.md', says: new RegExp(`^\\| ${number} \\|.*?${figure}`, 'm') })
/** A row of a table in a section of docs/benchmarks.md, up to the figure. */
const benchmark = (heading: string, row: string): Source => ({ page: 'docs/benchmarks.md', says: new RegExp(`^### ${heading}.*?^\\| ${row}`, 'ms') })
const CELL = '\\| ([\\d.,]+)[^|]*'
const SKIPPED = '\\| [^|]+'

/** Each row of the README's table of figures: how it begins, where its figures are, and the sources of them. */
const ROWS: Record<string, { figures: RegExp, sources: Source[] }> = {
  'promises that are kept': { figures: /(\d+) of (\d+) \|/, sources: [{ page: 'docs/promises.md', says: /^(\d+) of (\d+) are kept/m }] },
  'everything killed with `kill -9` under load': { figures: /of (\d+) acknowledged requests (\d+) lack their mail ([\d.]+) s after/, sources: [promise(39, '(\\d+) acknowledged, \\d+ of their mails missing at the start; (\\d+) of them ([\\d.]+) s after')] },
  'a deployment (SIGTERM) at 500 requests a second': { figures: /(\d+) of (\d+) requests dropped/, sources: [promise(19, '\\| (?=.* (\\d+) dropped)(\\d+) requests at 500 a second')] },
  'Redis killed at 200 reads a second': { figures: /(\d+) errors in ([\d,]+) reads/, sources: [promise(13, 'Redis killed: (\\d+) errors in ([\\d,]+) reads at 200 a second')] },
  'every operation for each kind of caller': { figures: /(\d+) operations × (\d+) callers: (\d+) leaks/, sources: [promise(27, '(\\d+) operations × (\\d+) kinds of caller: (\\d+) leaks')] },
  'does an answer show who has an account?': { figures: /of (\d+) pairs of sign-ins: ([\d.]+) ms apart/, sources: [promise(29, 'sign-in: (\\d+) pairs: .*?difference ([\\d.]+) ms')] },
  'cold start to the first registration, CPU': {
    figures: /([\d.]+) times a handler written by hand; Nest ([\d.]+), Fastify with every plugin ([\d.]+) \|/,
    sources: ['this service, POST /v2/users ', 'Nest \\+ serverless-express ', 'Fastify, every plugin, loaded naively '].map(row => benchmark('Cold start: to the first registration', `${row}${SKIPPED.repeat(4)}${CELL}`))
  },
  'requests a second, a cached profile': {
    figures: /([\d.]+) times a naive stack of plugins, ([\d,]+) on one core/,
    sources: [`${SKIPPED.repeat(2)}${CELL}`, CELL].map(cells => benchmark('Plain server: a signed-in user’s cached profile', `this service ${cells}`))
  },
  'a read with 1,000,000 users': { figures: /([\d.]+) times that with 1,000 \|/, sources: [benchmark('Requests with 1,000,000 users', `uncached read ${SKIPPED.repeat(6)}${CELL}`)] },
  'a million registrations on AWS, mails included': { figures: /([\d.]+) dollars/, sources: [{ page: 'docs/cost.md', says: /^\| registrations \(v2\), mail and proof included \|.*\*\*([\d.]+)\*\* \|$/m }] }
}

/** What is wrong with the README's figures, one line each. */
export function figureFaults (readme: string, read = (page: string) => readFileSync(resolve(ROOT, page), 'utf8')): string[] {
  const [, section = ''] = /^## Measured\n([\s\S]*?)^## /m.exec(readme) ?? []
  const rows = section.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('| |')).map(line => ({ name: line.slice(2, line.indexOf(' |', 2)), line }))
  const faults = Object.keys(ROWS).filter(name => !rows.some(row => row.name === name)).map(name => `README.md has no row "${name}"`)
  for (const { name, line } of rows) {
    const known = ROWS[name]
    if (known === undefined) {
      faults.push(`nothing checks the row "${name}": add it to test/docs/readme.ts`)
      continue
    }
    const figures = known.figures.exec(line)?.slice(1) ?? []
    const measured = known.sources.flatMap(({ page, says }) => says.exec(read(page))?.slice(1) ?? [`nothing like ${says} in ${page}`])
    if (figures.join(', ') !== measured.join(', ')) faults.push(`"${name}" says ${figures.join(', ') || 'nothing'}, and ${known.sources[0]!.page} ${measured.join(', ')}`)
  }
  return faults
}

/** What is wrong with the pictures that documents show from docs/pictures, one line each. */
export function pictureFaults (texts: string[], names: string[], maxBytes: number, sizeOf = (name: string) => statSync(resolve(ROOT, 'docs/pictures', name), { throwIfNoEntry: false })?.size): string[] {
  return names.flatMap(name => {
    const size = sizeOf(name)
    if (size === undefined) return [`docs/pictures/${name} is missing: npm run pictures makes it`]
    return [
      ...(size > maxBytes ? [`docs/pictures/${name} has ${size} bytes, and may have ${maxBytes}`] : []),
      ...(texts.some(text => new RegExp(`!\\[[^\\]]{10,}\\]\\([^)]*pictures/${name}\\)`).test(text)) ? [] : [`no document shows docs/pictures/${name} with a text in its place`])
    ]
  })
}
