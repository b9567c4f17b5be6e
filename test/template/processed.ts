// Checks the template as CloudFormation gets it, after the SAM transform, for each stage and for both places of the e-mail
// worker; matrix.ts has the other combinations. Run by .ci/template-checks, which has the transform's own code for it:
//
//   node test/template/processed.ts embedded.json extracted.json [stage.json ...]
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { evaluate, resourcesOf, type Template } from './evaluate.ts'
import { grantsOf, missing, roleOf, SERVED, USED } from './iam.ts'
import { faultsOf } from './structure.ts'

/** Roles that the transform adds carry the permissions boundary too, and its functions ask for signatures. */
function unboundFaults (template: Template): string[] {
  const lacks = (id: string, property: string) => template.Resources[id]!.Properties[property] === undefined ? [`${id} lacks ${property}`] : []
  return [
    ...resourcesOf(template, 'AWS::IAM::Role').flatMap(([id]) => lacks(id, 'PermissionsBoundary')),
    ...resourcesOf(template, 'AWS::Lambda::Function').flatMap(([id]) => lacks(id, 'CodeSigningConfigArn'))
  ]
}

function grantFaults (template: Template, worker: 'embedded' | 'extracted'): string[] {
  return Object.entries(USED[worker]).flatMap(([id, used]) => {
    const allowed = grantsOf(template, roleOf(template, id))
    const served = SERVED[worker][id]!
    const unneeded = missing(allowed, used).filter(grant => missing(allowed, served).includes(grant)).filter(grant => !grant.startsWith('xray:'))
    return [
      ...[...missing(used, allowed), ...missing(served, allowed)].map(grant => `${id} lacks ${grant}`),
      ...unneeded.map(grant => `${id} does not need ${grant}`)
    ]
  })
}

/** `parameters` is what the transform was given: it resolves few of them itself. */
const read = (file: string): { template: Template, parameters: Record<string, string> } => JSON.parse(readFileSync(file, 'utf8'))

const [embeddedFile = '', extractedFile = '', ...stageFiles] = process.argv.slice(2)
const faults: string[] = []
const variant = (file: string) => {
  const { template, parameters } = read(file)
  const evaluated = evaluate(template, parameters)
  const bounded = evaluate(template, { ...parameters, PermissionsBoundaryArn: 'arn:boundary', CodeSigningConfigArn: 'arn:signatures' })
  faults.push(...unboundFaults(bounded).map(fault => `${basename(file, '.json')}: ${fault}`))
  faults.push(...faultsOf(evaluated, parameters).map(fault => `${basename(file, '.json')}: ${fault}`))
  console.log(`${basename(file, '.json')}: ${Object.keys(evaluated.Resources).length} resources looked at`)
  return evaluated
}
const embedded = variant(embeddedFile)
const extracted = variant(extractedFile)
faults.push(...grantFaults(embedded, 'embedded'), ...grantFaults(extracted, 'extracted'))
for (const file of stageFiles) variant(file)

console.log('\nExtracting the e-mail worker')
const ids = (template: Template) => Object.keys(template.Resources).filter(id => !id.startsWith('ApiDeployment'))
// The id of a REST deployment is of the second in which it was made.
const textOf = (template: Template, id: string) => JSON.stringify(template.Resources[id]).replace(/ApiDeployment[0-9a-f]+/, 'ApiDeployment')
for (const id of ids(extracted).filter(id => !(id in embedded.Resources))) console.log(`  + ${extracted.Resources[id]!.Type} ${id}`)
for (const id of ids(embedded).filter(id => !(id in extracted.Resources))) console.log(`  - ${embedded.Resources[id]!.Type} ${id}`)
for (const id of ids(embedded).filter(id => id in extracted.Resources && textOf(embedded, id) !== textOf(extracted, id))) console.log(`  ~ ${embedded.Resources[id]!.Type} ${id}`)
const before = grantsOf(embedded, 'ApiFunctionRole')
const after = grantsOf(extracted, 'ApiFunctionRole')
for (const grant of missing(before, after)) console.log(`  - ApiFunction: ${grant}`)
for (const grant of missing(after, before)) console.log(`  + ApiFunction: ${grant}`)
for (const grant of missing(grantsOf(extracted, 'EmailFunctionRole'), {})) console.log(`  + EmailFunction: ${grant}`)

for (const fault of faults) console.error(`FAULT ${fault}`)
if (faults.length > 0) process.exit(1)
