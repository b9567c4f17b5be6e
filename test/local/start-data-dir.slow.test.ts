import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { expectRefusals, newDir, type Refusal } from './running.ts'

t.test('a start with a data directory that cannot be read ends with one line that names LOCAL_DATA_DIR', async t => {
  /** A data directory with something in it that is not what npm start writes. */
  const spoilt = (spoil: (dir: string) => void): { LOCAL_DATA_DIR: string } => {
    const dir = newDir(t)
    spoil(dir)
    return { LOCAL_DATA_DIR: dir }
  }
  const write = (name: string, text: string) => spoilt(dir => {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  })
  const noDatabase = 'no database '.repeat(100)
  const cases: Refusal[] = [
    ['the data directory is a newer version’s', write('version', '2\n'), 'LOCAL_DATA_DIR: '],
    ['the version is none', write('version', 'x'), 'LOCAL_DATA_DIR: '],
    ['the lock is no database', write('lock', noDatabase), 'LOCAL_DATA_DIR: '],
    ['the database is none', write('dynamodb/dynamodb.sqlite', noDatabase), 'dynoxide (the DynamoDB engine) cannot start: error: Database file is'],
    ['the directory of the database is a file', write('dynamodb', ''), 'LOCAL_DATA_DIR: '],
    ['the queues are no database', write('sqs/fauxqs.db', noDatabase), 'LOCAL_DATA_DIR: '],
    ['the directory of the mails is a file', write('mails', ''), 'LOCAL_DATA_DIR: '],
    ['the checkpoints are none', write('checkpoints.json', '{"a":'), 'LOCAL_DATA_DIR: '],
    ['the secret cannot be read', spoilt(dir => mkdirSync(join(dir, 'jwt-secret'))), 'LOCAL_DATA_DIR: '],
    ['the environment cannot be written', spoilt(dir => mkdirSync(join(dir, 'env'))), 'LOCAL_DATA_DIR: ']
  ]
  await expectRefusals(t, cases)
})
