/** What to do about the errors of the AWS SDK that say nothing about it, by their name. */
const ADVICE: Record<string, string> = {
  CredentialsProviderError: 'There are no AWS credentials: set AWS_PROFILE, or sign in with aws sso login',
  ExpiredToken: 'The AWS credentials have expired: sign in again, for example with aws sso login',
  ExpiredTokenException: 'The AWS credentials have expired: sign in again, for example with aws sso login'
}

/** An error that is not ours, in one line. */
export function errorLine (error: unknown): string {
  const { name, message } = error as Error
  if (message === 'Region is missing') return 'AWS_REGION is missing: set it to the region of the stack'
  return ADVICE[name] ?? `${name}: ${message.split('\n')[0]}`
}
