// Secrets Manager calls this to rotate a secret by its schedule, four times for each rotation. It is plain JavaScript and
// runs without a build; the SDK is the runtime's own. It can write a secret and not read one.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
import { DescribeSecretCommand, GetRandomPasswordCommand, ListSecretVersionIdsCommand, PutSecretValueCommand, SecretsManagerClient, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager'

const secrets = new SecretsManagerClient({ maxAttempts: 3 })

/** Milliseconds between two rotations: instances rely on them (ADR 52). A manual one may have been just now. */
const APART = 3_600_000

/** Writes the new value, under the version's id, so that a repetition finds that it is there. */
async function createSecret (SecretId, ClientRequestToken, current) {
  const { Versions = [] } = await secrets.send(new ListSecretVersionIdsCommand({ SecretId }))
  const made = Versions.find(({ VersionId }) => VersionId === current)?.CreatedDate
  if (made !== undefined && Date.now() - made.getTime() < APART) throw new Error('the secret was rotated less than an hour ago')
  const { RandomPassword } = await secrets.send(new GetRandomPasswordCommand({ PasswordLength: 64, ExcludePunctuation: true }))
  try {
    await secrets.send(new PutSecretValueCommand({ SecretId, ClientRequestToken, SecretString: RandomPassword, VersionStages: ['AWSPENDING'] }))
  } catch (error) {
    if (error.name !== 'ResourceExistsException') throw error
  }
}

/** Makes the new version the current one. Secrets Manager moves AWSPREVIOUS. */
async function finishSecret (SecretId, token, current, isPending) {
  if (current !== token) {
    await secrets.send(new UpdateSecretVersionStageCommand({ SecretId, VersionStage: 'AWSCURRENT', MoveToVersionId: token, RemoveFromVersionId: current }))
  }
  // Left there, it would make Secrets Manager refuse to rotate once a rotation by hand has replaced this version.
  if (isPending) await secrets.send(new UpdateSecretVersionStageCommand({ SecretId, VersionStage: 'AWSPENDING', RemoveFromVersionId: token }))
}

export async function handler ({ Step, SecretId, ClientRequestToken: token }) {
  const step = String(Step).replace('_', '').toLowerCase()
  const { RotationEnabled, VersionIdsToStages: versions = {} } = await secrets.send(new DescribeSecretCommand({ SecretId }))
  const current = Object.keys(versions).find(id => versions[id].includes('AWSCURRENT'))
  const stages = versions[token] ?? []
  const isPending = stages.includes('AWSPENDING')
  if (RotationEnabled !== true) throw new Error('the secret has no rotation schedule')
  if (!isPending && current !== token) throw new Error('the version is not one that waits to be rotated to')
  if (step === 'createsecret') {
    if (current !== token) await createSecret(SecretId, token, current)
  } else if (step === 'finishsecret') await finishSecret(SecretId, token, current, isPending)
  // There is nothing to set or test: the value is known to no other system, and any text of this length makes keys.
  else if (step !== 'setsecret' && step !== 'testsecret') throw new Error('the step is unknown')
  console.log(JSON.stringify({ step, secret: SecretId, version: token, done: true }))
}
