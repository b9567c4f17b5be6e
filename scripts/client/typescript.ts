import { createClient } from '@hey-api/openapi-ts'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isKeyed, operationsOf, type Document, type Operation } from './document.ts'

const HEADER = '// Generated from docs/openapi/v2.json by npm run client.\n'

/** The types of all schemas and operations. */
async function makeTypes (document: Document): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'user-service-client-'))
  try {
    await createClient({
      input: structuredClone(document) as unknown as Record<string, unknown>,
      output: { path: directory, entryFile: false },
      plugins: [{ name: '@hey-api/typescript' }],
      logs: { level: 'silent', file: false }
    })
    const text = await readFile(join(directory, 'types.gen.ts'), 'utf8')
    return HEADER + text.replace(/^\/\/.*\n/, '')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** `users.getMe` as the generator names its types: `UsersGetMe`. */
const typeName = (id: string) => id.split(/[^A-Za-z0-9]+/).map(part => part[0]!.toUpperCase() + part.slice(1)).join('')

function propertiesOf (operation: Operation): string {
  const { method, path, body, isSecured } = operation
  return [
    `method: '${method}'`,
    `path: '${path}'`,
    ...(body === undefined ? [] : [`contentType: '${body.contentType}'`]),
    ...(isSecured ? ['secured: true'] : []),
    ...(isKeyed(operation) ? ['keyed: true'] : [])
  ].join(', ')
}

function commentOf ({ summary, description }: Operation): string {
  const lines = [summary, ...(description === undefined ? [] : ['', ...description.split('\n')])].map(line => line.replaceAll('*/', '*\\/'))
  return lines.length === 1 ? `    /** ${lines[0]} */` : ['    /**', ...lines.map(line => `     * ${line}`.trimEnd()), '     */'].join('\n')
}

/** The table that calls are made from, and the interface of all operations by tag and name. */
function makeOperations (operations: Operation[]): string {
  const groups = Map.groupBy(operations, ({ id }) => id.split('.')[0]!)
  const types = operations.flatMap(({ id }) => [`${typeName(id)}Data`, `${typeName(id)}Responses`]).sort()
  return `${HEADER}
import type { Call, Operation } from '../call.ts'
import type { ${types.join(', ')} } from './types.gen.ts'

export const OPERATIONS = {
${operations.map(operation => `  '${operation.id}': { ${propertiesOf(operation)} }`).join(',\n')}
} as const satisfies Record<string, Operation>

/** Every operation of the service. */
export interface Api {
${[...groups].map(([group, members]) => `  ${group}: {
${members.map(operation => `${commentOf(operation)}
    ${operation.id.slice(group.length + 1)}: Call<${typeName(operation.id)}Data, ${typeName(operation.id)}Responses>`).join('\n')}
  }`).join('\n')}
}
`
}

/** The generated files of the typed client by their names. It speaks version 2 only: version 1 is frozen and ends. */
export async function makeTypescript (document: Document): Promise<Record<string, string>> {
  return {
    'types.gen.ts': await makeTypes(document),
    // What only redirects, such as the address of a picture, is for browsers.
    'operations.ts': makeOperations(operationsOf(document).filter(({ responses }) => Object.keys(responses).some(status => status.startsWith('2'))))
  }
}
