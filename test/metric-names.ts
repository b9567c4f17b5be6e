import { globSync, readFileSync } from 'node:fs'

const sources = globSync('src/**/*.ts').map(file => readFileSync(file, 'utf8'))

/** Names that calls of `count` have as their first argument, a choice between two included. */
export function countedIn (source: string): string[] {
  return [...source.matchAll(/\bcount\(([^()]*)/g)].flatMap(([, argument = '']) => [...argument.matchAll(/'(\w+)'/g)].map(match => match[1]!))
}

/** Names that a module adds to MetricNames. */
export function declaredIn (source: string): string[] {
  const [, body = ''] = /interface MetricNames \{([^}]*)\}/.exec(source) ?? []
  return [...body.matchAll(/^\s*(\w+): true$/gm)].map(match => match[1]!)
}

const namesOf = (find: (source: string) => string[]) => [...new Set(sources.flatMap(find))].sort()

/** The metrics of the service, as its sources count them. */
export const countedNames = namesOf(countedIn)

/** The metrics of the service, as its modules declare them. */
export const declaredNames = namesOf(declaredIn)
