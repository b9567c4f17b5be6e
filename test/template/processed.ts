// Checks the template as CloudFormation gets it, after the SAM transform, for each stage and for both places of the e-mail
// worker. Run by .ci/template-checks, which has the transform's own code for it:
//
//   node test/template/processed.ts embedded.json extracted.json [stage.json ...]
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { evaluate, referencesOf, resourcesOf, type Template } from './evaluate.ts'
import { grantsOf, missing, roleOf, SERVED, USED, wildcardFaults } from './iam.ts'

/** Circles of references, which CloudFormation refuses. */
function circles ({ Resources }: Template): string[] {
  const found: string[] = []
  const done = new Set<string>()
  function visit (id: string, path: string[]) {
    if (path.includes(id)) found.push([...path.slice(path.indexOf(id)), id].join(' → '))
    else if (!done.has(id)) {
      for (const next of new Set(referencesOf(Resources[id]))) if (next in Resources) visit(next, [...path, id])
      done.add(id)
    }
  }
  for (const id of Object.keys(Resources)) visit(id, [])
  return found
}

/** References to what a condition has left out. */
function danglingReferences (template: Template): string[] {
  const known = new Set([...Object.keys(template.Resources), ...Object.keys(template.Parameters)])
  return Object.entries({ ...template.Resources, Outputs: template.Outputs }).flatMap(([id, resource]) =>
    [...new Set(referencesOf(resource))].filter(name => !known.has(name) && !name.startsWith('AWS::')).map(name => `${id} refers to ${name}, which is not there`))
}

/** What an alias is must move with a release and be watched while it does. */
function deploymentFaults (template: Template): string[] {
  return resourcesOf(template, 'AWS::Lambda::Function').filter(([, { Properties }]) => Properties['Code'].S3Key === 'dist/lambda').flatMap(([id]) => {
    const alias = template.Resources[`${id}Aliaslive`] as unknown as { UpdatePolicy?: { CodeDeployLambdaAliasUpdate?: { BeforeAllowTrafficHook?: object } }, Properties: { FunctionVersion: { 'Fn::GetAtt': [string] } } } | undefined
    const group = template.Resources[`${id}DeploymentGroup`]?.Properties
    const faults: string[] = []
    if (alias?.UpdatePolicy?.CodeDeployLambdaAliasUpdate?.BeforeAllowTrafficHook === undefined) faults.push(`${id}: nothing tries a version before it gets traffic`)
    if (!(group?.['AlarmConfiguration']?.Alarms?.length > 0)) faults.push(`${id}: no alarm rolls back`)
    if (alias?.Properties.FunctionVersion['Fn::GetAtt'][0] !== `${id}Version${'a'.repeat(10)}`) faults.push(`${id}: a release does not publish a version`)
    return faults
  })
}

/** Roles that the transform adds carry the permissions boundary too, and its functions ask for signatures. */
function unboundFaults (template: Template): string[] {
  const lacks = (id: string, property: string) => template.Resources[id]!.Properties[property] === undefined ? [`${id} lacks ${property}`] : []
  return [
    ...resourcesOf(template, 'AWS::IAM::Role').flatMap(([id]) => lacks(id, 'PermissionsBoundary')),
    ...resourcesOf(template, 'AWS::Lambda::Function').flatMap(([id]) => lacks(id, 'CodeSigningConfigArn'))
  ]
}

function faultsOf (template: Template): string[] {
  return [...circles(template), ...danglingReferences(template), ...wildcardFaults(template), ...deploymentFaults(template)]
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

/** Each optional part, alone and with the rest as it is by default. */
const SWITCHES: Record<string, string>[] = [
  { Cache: 'valkey' }, { LogArchive: 'true' }, { ApiKeyRequired: 'true' }, { Waf: 'true' }, { Tracing: 'Active' }, { ManageApiGatewayAccount: 'true' }, { CorsOrigin: 'https://a.example' },
  { DomainName: 'a.example', CertificateArn: 'arn:aws:acm:x' }, { DomainName: 'a.example', CertificateArn: 'arn:aws:acm:x', HostedZoneId: 'Z1' },
  { CustomerKey: 'true' }, { Backup: 'true' }, { CustomerKey: 'true', Backup: 'true', Cache: 'valkey', LogArchive: 'true' },
  { ApiType: 'http' }, { ApiType: 'http', DomainName: 'a.example', CertificateArn: 'arn:aws:acm:x', HostedZoneId: 'Z1', BasePath: 'users' },
  { AlarmEmail: 'a@a.example' }, { RegistrationAnomalyAlarm: 'true' }, { RollbackAlarms: 'false' },
  { LambdaInsightsLayer: 'arn:aws:lambda:x' }, { LambdaInsightsLayer: 'arn:aws:lambda:x', Cache: 'valkey' }, { SyntheticCanary: 'true' }, { ServiceLevelObjective: 'true' },
  { AlarmEmail: 'a@a.example', CostAnomalyUsd: '20' }, { AlarmEmail: 'a@a.example', CostAnomalyUsd: '20', CostAnomalyMonitorArn: 'arn:aws:ce::x' }
]

const [embeddedFile = '', extractedFile = '', ...stageFiles] = process.argv.slice(2)
const faults: string[] = []
const variant = (file: string) => {
  const { template, parameters } = read(file)
  const evaluated = evaluate(template, parameters)
  const bounded = evaluate(template, { ...parameters, PermissionsBoundaryArn: 'arn:boundary', CodeSigningConfigArn: 'arn:signatures' })
  faults.push(...unboundFaults(bounded).map(fault => `${basename(file, '.json')}: ${fault}`))
  faults.push(...faultsOf(evaluated).map(fault => `${basename(file, '.json')}: ${fault}`))
  for (const given of SWITCHES) {
    const switched = evaluate(template, { ...parameters, ...given })
    faults.push(...[...circles(switched), ...danglingReferences(switched)].map(fault => `${basename(file, '.json')} with ${JSON.stringify(given)}: ${fault}`))
  }
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
