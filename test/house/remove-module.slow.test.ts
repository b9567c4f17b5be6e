import { globSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { parseTemplate } from '../../local/template.ts'
import { referencesOf } from '../template/evaluate.ts'
import { failuresIn, makeScratch, ROOT, TYPES } from './scratch.ts'

/** What stays of the module: the client in its place, and what it is written with. */
const STAYS = ['client.ts', 'contract.ts', 'errors.ts', 'schemas.ts']

const VARIABLES = ['EMAIL_TABLE', 'EMAIL_FROM', 'SMTP_URL', 'SES_CONFIGURATION_SET', 'MAIL_RECEIPTS_QUEUE_URL', 'VERIFY_URL', 'MAIL_TEMPLATES_DIR']

/** Resources of the template that are about sending, and move to the other service. The queue stays until that one owns it. */
const RESOURCES = ['EmailQueueMapping', 'EmailFunction', 'EmailFunctionLogs', 'EmailFunctionRole', 'EmailSmokeFunction', 'EmailSmokeRole', 'EmailTable', 'SesEndpoint',
  'EmailFunctionLogSubscription', 'EmailErrorsAlarm', 'EmailCanaryErrorsAlarm', 'EmailThrottlesAlarm', 'EmailDurationAlarm', 'EmailTableThrottlesAlarm', 'BounceRateAlarm',
  'ComplaintRateAlarm', 'MailsFailedAlarm', 'MailReceiptsMapping', 'MailConfigurationSet', 'MailEvents', 'MailReceiptsRule', 'MailReceiptsQueue', 'MailReceiptsDeadLetterQueue',
  'MailReceiptsPolicy', 'MailsBouncedAlarm', 'MailsComplainedAlarm', 'MailReceiptsDeadLetterAlarm', 'MailReceiptsAgeAlarm']

/** Tests of other modules, which register, sign in by a mail, read, change and delete. */
const TESTS = ['test/modules/users/profile.test.ts', 'test/modules/auth/events.test.ts']

/** Removes every match, of which there must be one at least. */
function without (text: string, ...patterns: RegExp[]): string {
  return patterns.reduce((rest, pattern) => {
    const shorter = rest.replace(pattern, '')
    if (shorter === rest) throw new Error(`nothing matches ${String(pattern)}`)
    return shorter
  }, text)
}

/** An entry of a mapping, by its name and indent, with all that is under it. */
const entry = (indent: string, name: string) => new RegExp(`^${indent}${name}:.*\\n(?:${indent} .*\\n|\\n(?=${indent} ))*(?:${indent}\\}\\)*,?\\n)?`, 'gm')
const line = (holds: string) => new RegExp(`^.*${holds}.*\\n`, 'gm')
/** A statement that the function has while the worker is embedded. */
const embedded = (sid: string) => new RegExp(`^( +)- !If\\n\\1  - EmailExtracted\\n\\1  - !Ref AWS::NoValue\\n\\1  - Sid: ${sid}\\n(?:\\1 {4}.*\\n)+`, 'gm')

/** A statement that the function always has. */
const statement = (sid: string) => new RegExp(`^( +)- Sid: ${sid}\\n(?:\\1 {2}.*\\n)+`, 'gm')

t.test('the e-mail module leaves by touching three files, and the other modules pass their tests with the service that it has become', { timeout: 600_000 }, async t => {
  const scratch = makeScratch(t)
  const touched: string[] = []
  const change = (file: string, edit: (text: string) => string) => {
    touched.push(file)
    writeFileSync(scratch.path(file), edit(scratch.read(file)))
  }

  for (const file of globSync('src/modules/email/*', { cwd: ROOT })) if (!STAYS.some(name => file.endsWith(`/${name}`))) scratch.remove(file)
  scratch.remove('test/modules/email')
  scratch.remove('scripts/mail-preview.ts')

  change('src/app.ts', text => text.replace('./modules/email/index.ts', './modules/email/client.ts'))
  change('src/plugins/config.ts', text => without(text, ...VARIABLES.map(name => entry('  ', name)), /^function isSender [\s\S]*?^}\n/m))
  change('template.yaml', text => without(text,
    ...RESOURCES.map(id => entry('  ', id)),
    ...VARIABLES.filter(name => text.includes(`${name}: !Ref`)).map(name => line(`${name}: !Ref`)),
    ...['ReceiveMails', 'MailRecords', 'SendMails'].map(embedded),
    ...['ReceiveReceipts', 'MailAddresses'].map(statement),
    line('\\[EmailExtracted, .*Email(?:Smoke)?Function(?:Logs)?\\b'),
    line('EmailTableName:'),
    line('^  Email(?:FunctionVersion|FunctionName|LogGroup): \\{ Condition: EmailExtracted'),
    line('- !(?:GetAtt|Sub) .*\\bEmailTable\\b'),
    // Its widget, beside that of the authorizer.
    /EmailWidget: !If\n(?: {12}.*\n){3} {10}/g,
    /\$\{EmailWidget\}/g,
    line('MailReceipts(?:DeadLetter)?QueueUrl:'),
    line('"title": "Mail receipts"'),
    /, "\$\{BounceRateAlarm\.Arn\}"/g,
    /, \["UserService", "Mails(?:Sent|Failed|Refused|Expired)",[^\]]*\]/g))
  t.same(touched, ['src/app.ts', 'src/plugins/config.ts', 'template.yaml'])

  const references = new Set(referencesOf(parseTemplate(scratch.read('template.yaml'))))
  t.same(RESOURCES.filter(id => references.has(id)), [], 'the template refers to nothing that has left')

  // Generated, and not written by hand.
  t.equal((await scratch.run(['scripts/env.ts'])).status, 0)
  for (const name of VARIABLES) t.notMatch(scratch.read('.env.example'), new RegExp(`^(# )?${name}=`, 'm'))
  const { status, output } = await scratch.run(['scripts/openapi.ts'])
  t.equal(status, 0, output)
  for (const version of ['v1', 'v2']) t.equal(scratch.read(`docs/openapi/${version}.json`), readFileSync(`${ROOT}/docs/openapi/${version}.json`, 'utf8'), `the API of ${version} is as before`)

  writeFileSync(scratch.path('tsconfig.left.json'), JSON.stringify({ extends: './tsconfig.json', include: ['src', 'local', 'scripts', ...TESTS] }))
  const runs = [[...TYPES, '-p', 'tsconfig.left.json'], ...TESTS.map(file => [file])]
  await Promise.all([1, 2].map(async () => {
    for (let args = runs.shift(); args !== undefined; args = runs.shift()) {
      const { status, output } = await scratch.run(args, { EMAIL_SERVICE: ROOT })
      t.equal(status, 0, `${args.join(' ')}: ${status === 0 ? 'passes' : failuresIn(output)}`)
    }
  }))
})
