import { globSync, readFileSync } from 'node:fs'
import { declaredIn } from '../scripts/metric-list.ts'

const sources = globSync('src/**/*.ts').map(file => readFileSync(file, 'utf8'))

/** Names that calls have as their first argument, a choice between two included. */
export function countedIn (source: string): string[] {
  return [...source.matchAll(/\b(?:count|countOften|measure|observe|show)\(([^()]*)/g)].flatMap(([, argument = '']) => [...argument.matchAll(/'([A-Z]\w*)'/g)].map(match => match[1]!))
}

const namesOf = (find: (source: string) => string[]) => [...new Set(sources.flatMap(find))].sort()

/** The metrics of the service, as its sources count them. */
export const countedNames = namesOf(countedIn)

/** The metrics of the service, as its modules declare them. */
export const declared = new Map(sources.flatMap(declaredIn).map(({ name, kind }) => [name, kind]))
export const declaredNames = [...declared.keys()].sort()
