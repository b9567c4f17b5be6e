import { globSync, readFileSync } from 'node:fs'
import { METRICS } from '../src/server/metric-list.ts'

const sources = globSync('src/**/*.ts').map(file => readFileSync(file, 'utf8'))

/** Names that calls have as their first argument, a choice between two included. */
export function countedIn (source: string): string[] {
  return [...source.matchAll(/\b(?:count|countOften|measure|observe|show)\(([^()]*)/g)].flatMap(([, argument = '']) => [...argument.matchAll(/'([A-Z]\w*)'/g)].map(match => match[1]!))
}

/** The metrics of the service, as its sources count them. */
export const countedNames = [...new Set(sources.flatMap(countedIn))].sort()

/** The metrics of the service, as its modules declare them. */
export const declared = new Map(Object.entries(METRICS).map(([name, [kind]]) => [name, kind]))
export const declaredNames = [...declared.keys()].sort()
