import { loadConfig, type Config } from '../../../src/plugins/config.ts'

/** The variables of this service: those that the module and its plugins read. A test compares them with the code. */
export const VARIABLES = [
  'NODE_ENV', 'SERVICE_NAME', 'STAGE', 'LOG_LEVEL',
  'AWS_REGION', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_DYNAMODB', 'AWS_ENDPOINT_URL_SQS',
  'EMAIL_TABLE', 'EMAIL_QUEUE_URL', 'EMAIL_FROM', 'SMTP_URL', 'SES_CONFIGURATION_SET', 'MAIL_RECEIPTS_QUEUE_URL', 'MAIL_TEMPLATES_DIR',
  'BRAND_NAME', 'BRAND_COLOR', 'BRAND_LOGO_URL', 'PUBLIC_URL', 'VERIFY_URL',
  'CODE_SECRET', 'CODE_SECRET_ARN'
] as const satisfies (keyof Config)[]

/** @throws {ConfigError} in one line that names the variable */
export function readConfig (env: Record<string, string | undefined>): Config {
  // The plugins are typed with all variables of the user service. They read no others than these.
  return loadConfig(env, VARIABLES) as Config
}
