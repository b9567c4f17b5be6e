/* eslint-disable no-template-curly-in-string -- CloudFormation's own */
import t from 'tap'
import { createCompleter, tuplesOf } from './covering.ts'
import { evaluate, loadTemplate, type Template } from './evaluate.ts'
import { planOf } from './matrix.ts'
import { instantiate, isPermitted, parametersOfRules, switchesOf } from './parameters.ts'
import { createSolver, danglingReferences, logFaults, openCircles, openDanglingReferences } from './structure.ts'
import { verdictOf } from './verdict.ts'

const ref = (Ref: string) => ({ Ref })
const equals = (name: string, value: string) => ({ 'Fn::Equals': [ref(name), value] })
const not = (condition: object) => ({ 'Fn::Not': [condition] })

/** Three switches of two, three and two values; the rule refuses one pair, and a third value that it excludes indirectly. */
const small = (changes: Partial<Template> = {}): Template => ({
  Parameters: {
    Stage: { Type: 'String', AllowedValues: ['dev', 'staging', 'prod'], Default: 'dev' },
    DomainName: { Type: 'String', Default: '' },
    CertificateArn: { Type: 'String', Default: '' },
    Days: { Type: 'Number', AllowedValues: [1, 7, 30], Default: 7 }
  },
  Rules: { Certificate: { RuleCondition: not(equals('DomainName', '')), Assertions: [{ Assert: not(equals('CertificateArn', '')), AssertDescription: 'DomainName needs CertificateArn' }] } },
  Conditions: { IsProd: equals('Stage', 'prod'), HasDomain: not(equals('DomainName', '')), Both: { 'Fn::And': [{ Condition: 'IsProd' }, { Condition: 'HasDomain' }] } },
  Resources: {
    Topic: { Type: 'AWS::SNS::Topic', Properties: { DisplayName: { 'Fn::Sub': '${AWS::StackName} ${Stage}' }, Days: ref('Days') } },
    Domain: { Type: 'AWS::ApiGateway::DomainName', Condition: 'HasDomain', Properties: { DomainName: ref('DomainName') } },
    Record: { Type: 'AWS::Route53::RecordSet', Condition: 'Both', Properties: { Name: { 'Fn::GetAtt': ['Domain', 'RegionalDomainName'] } } }
  },
  Outputs: {},
  ...changes
})

function solverOf (template: Template) {
  const names = parametersOfRules(template)
  const switches = switchesOf(template)
  return createSolver(template, switches, createCompleter(switches.filter(({ name }) => names.has(name)), row => isPermitted(template, row)))
}

t.test('switches are read from conditions and rules, with a value for each case', async t => {
  const [stage, domain, certificate, ...others] = switchesOf(small())
  t.strictSame(stage, { name: 'Stage', values: ['prod', 'dev'] }, 'staging is like dev here')
  t.match(domain, { name: 'DomainName', values: ['', /./] })
  t.match(certificate, { name: 'CertificateArn', values: ['', /^arn:aws:acm:/] })
  t.strictSame(others, [])
  const unknown = small({ Conditions: { Has: not(equals('Color', '')) } })
  unknown.Parameters['Color'] = { Type: 'String', Default: '', AllowedPattern: '^(#[0-9a-f]{6})?$' }
  t.throws(() => switchesOf(unknown), { message: 'SAMPLES in test/template/parameters.ts needs a value for the parameter Color: example is not one' })
  t.throws(() => switchesOf(small({ Conditions: { Same: { 'Fn::Equals': [ref('Stage'), ref('DomainName')] } } })), { message: /a comparison of one parameter with values is expected/ })
})

t.test('each parameter of the template that a condition reads is a switch', async t => {
  const template = loadTemplate()
  const names = switchesOf(template).map(({ name }) => name)
  t.ok(names.length >= 17)
  const read = [...JSON.stringify(template.Conditions).matchAll(/\{"Ref":"([^"]+)"\}/g)].map(([, name]) => name!)
  t.strictSame([...new Set(read)].filter(name => !names.includes(name)), [])
})

t.test('rows hold every pair, and every three, that the rules permit, and nothing else', async t => {
  for (const template of [small(), loadTemplate()]) {
    const { switches, completes, rows } = planOf(template)
    const all = Object.entries(rows)
    t.ok(all.every(([, row]) => isPermitted(template, row)), 'the rules permit each row')
    for (const [size, some] of [[2, all.filter(([name]) => name.startsWith('pair-'))], [3, all]] as const) {
      const missing = tuplesOf(switches, size).filter(tuple => completes(new Map(tuple)) && !some.some(([, row]) => tuple.every(([name, value]) => row[name] === value)))
      t.strictSame(missing, [], `${some.length} rows hold all ${size} of them`)
      t.ok(some.length > 0)
    }
    t.strictSame(Object.entries(planOf(template).rows), all, 'the same in every run')
  }
  t.ok(tuplesOf(switchesOf(small()), 2).some(tuple => !planOf(small()).completes(new Map(tuple))), 'a domain without a certificate is left out')
  const { rows } = planOf(small())
  t.strictSame(new Set(Object.values(rows).map(({ Days }) => Days)), new Set(['1', '7', '30']), 'values of what is no switch appear as well')
})

t.test('a template for some values has neither parameters nor conditions', async t => {
  const { Resources, Outputs, ...rest } = instantiate(small(), { Stage: 'prod', DomainName: 'a.example', CertificateArn: 'x', Days: '30' })
  t.strictSame(rest, {})
  t.strictSame(Outputs, {})
  t.strictSame(Resources, {
    Topic: { Type: 'AWS::SNS::Topic', Properties: { DisplayName: { 'Fn::Sub': '${AWS::StackName} prod' }, Days: 30 } },
    Domain: { Type: 'AWS::ApiGateway::DomainName', Properties: { DomainName: 'a.example' } },
    Record: { Type: 'AWS::Route53::RecordSet', Properties: { Name: { 'Fn::GetAtt': ['Domain', 'RegionalDomainName'] } } }
  })
  t.strictSame(Object.keys(instantiate(small(), {}).Resources), ['Topic'])
})

t.test('a reference to what may not be there is found, with the combination', async t => {
  const whole = small()
  t.strictSame(openDanglingReferences(whole, solverOf(whole)), { faults: [], references: 1, conditional: 1 })
  const torn = small()
  torn.Resources['Record']!.Condition = 'IsProd'
  t.strictSame(openDanglingReferences(torn, solverOf(torn)).faults, ['Record refers to Domain, which is not there with Stage=prod DomainName='])
  const impossible = small({ Conditions: { ...small().Conditions, NoCertificate: equals('CertificateArn', '') } })
  impossible.Resources['Topic']!.Properties['Other'] = { 'Fn::If': ['NoCertificate', 'none', ref('Domain')] }
  t.match(openDanglingReferences(impossible, solverOf(impossible)).faults, [/^Topic refers to Domain, which is not there with CertificateArn=arn/])
  impossible.Resources['Topic']!.Properties['Other'] = { 'Fn::If': ['HasDomain', { 'Fn::If': ['NoCertificate', ref('Nothing'), ''] }, ''] }
  t.strictSame(openDanglingReferences(impossible, solverOf(impossible)).faults, [], 'a rule excludes it')
  delete impossible.Rules
  t.strictSame(openDanglingReferences(impossible, solverOf(impossible)).faults.length, 1, 'without the rule it is one')
})

t.test('a circle that some combination closes is found, and one that none closes is not', async t => {
  const closed = (condition: string, otherwise: boolean) => {
    const template = small()
    template.Resources['Topic']!.Properties['Other'] = otherwise ? { 'Fn::If': [condition, '', ref('Queue')] } : { 'Fn::If': [condition, ref('Queue'), ''] }
    template.Resources['Queue'] = { Type: 'AWS::SQS::Queue', Condition: 'HasDomain', Properties: { Other: { 'Fn::GetAtt': ['Topic', 'Arn'] } } }
    return openCircles(template, solverOf(template))
  }
  t.strictSame(closed('HasDomain', true), [], 'the two are never there at once')
  t.strictSame(closed('IsProd', false), ['Queue → Topic → Queue with DomainName=users.example.com Stage=prod'])
})

t.test('the proof for all combinations finds what single combinations show', async t => {
  const template = loadTemplate()
  // Before the SAM transform, references to what it makes dangle too. This one is planted.
  template.Resources['LogArchiveStream']!.Condition = 'HasEmailLogArchive'
  const proof = openDanglingReferences(template, solverOf(template))
  const pairOf = (fault: string) => /^(?:Outputs\.)?(\S+) refers to (\w+)/.exec(fault)!.slice(1).join(' → ')
  const proved = new Set(proof.faults.map(pairOf))
  t.ok(proved.has('ApiFunctionLogSubscription → LogArchiveStream'))
  t.ok(proof.conditional > 50)
  const seen = new Set(Object.values(planOf(template).rows).flatMap(row => danglingReferences(evaluate(template, row)).map(pairOf)))
  t.ok(seen.has('ApiFunctionLogSubscription → LogArchiveStream'))
  const outputs = new Set(Object.keys(template.Outputs))
  const normal = (pairs: Set<string>) => new Set([...pairs].map(pair => outputs.has(pair.split(' → ')[0]!) ? `Outputs → ${pair.split(' → ')[1]}` : pair))
  t.strictSame(normal(seen), normal(proved))
})

t.test('a function whose log group keeps everything is found', async t => {
  const functionOf = (LoggingConfig: object): Template => small({
    Resources: {
      Logs: { Type: 'AWS::Logs::LogGroup', Properties: { RetentionInDays: 30 } },
      Others: { Type: 'AWS::Logs::LogGroup', Properties: {} },
      Job: { Type: 'AWS::Lambda::Function', Properties: { LoggingConfig } }
    }
  })
  t.strictSame(logFaults(functionOf({ LogGroup: ref('Logs') })), [])
  t.strictSame(logFaults(functionOf({ LogGroup: ref('Others') })), ['Job: its log group has no retention'])
  t.strictSame(logFaults(functionOf({})), ['Job: its log group has no retention'])
})

t.test('a finding is a fault, a suppressed one is not, and a suppression that is not needed is one', async t => {
  const finding = (rule: string, resource: string, file = 'dev.json') => ({ rule, resource, file, message: 'says\nwhy' })
  const suppression = { rules: ['A', 'B'], resources: ['Queue'], reason: 'it is where failures go' }
  t.strictSame(verdictOf([finding('A', 'Queue'), finding('B', 'Queue')], [suppression]), [])
  t.strictSame(verdictOf([finding('A', 'Queue'), finding('B', 'Queue'), finding('A', 'Topic'), finding('A', 'Topic', 'prod.json')], [suppression]), ['Topic: A says why (2 templates, dev.json)'])
  t.strictSame(verdictOf([finding('A', 'Queue')], [suppression]), ['the suppression of A, B for Queue is not needed: B is not found'])
  t.strictSame(verdictOf([finding('A', 'Queue')], [{ ...suppression, rules: ['A'], reason: '' }]), ['the suppression of A has no reason'])
})
