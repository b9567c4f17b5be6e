import type { ApiText } from './plugins/docs/index.ts'

// The general texts of the API documents. Texts about one module are in its routes.

const ABOUT = `Registration, sign-in and profiles.

To register or sign in, a user needs only an e-mail address. The service mails a code to the address; sending the code back confirms the address. There are no passwords.`

const COMMON = 'Every response has the header `x-correlation-id`. It repeats the id of the request if that has up to 64 letters, digits, dots, dashes and underscores; otherwise it is a new id. Quote it when you report a problem. Request bodies are uncompressed JSON in UTF-8, up to 64 KiB. Unknown properties are rejected. A method that a path does not support gets a 405 with `Allow`.'

const MIGRATION = 'To migrate: accounts and tokens are the same in both versions. Replace `/v1/users/{userId}` by `/v2/users/{id}` or `/v2/users/me`, and read the resource itself instead of `data`. The id is called `id`. Errors are `application/problem+json` with a stable `code`. `POST /v2/users` answers 202 with a challenge for every address; `POST /v2/auth/tokens` with the mailed code returns the tokens and the user. `GET /health/ready` replaces `/v1/health`. The project\'s page `docs/migration-v1-v2.md` compares every call, answer and error.'

const AUTHORS = { contact: { name: 'The maintainers of the user service' }, license: { name: 'MIT', identifier: 'MIT' } }

const ABOUT_EVENTS = `What the service announces, and the messages in its queues.

The service publishes an event for each change of an account, after the change has been written. The JSON Schema of each event is served under \`/schemas/\`. Ignore properties that you do not know: new ones may be added.`

/** Title and introduction of each version's document, and how its operations are authorized. */
export const API: ApiText = {
  info: {
    v1: {
      ...AUTHORS,
      title: 'User service, version 1',
      version: '1.0.0',
      description: `${ABOUT}\n\nThis version is frozen. It ends on the date in the \`Sunset\` header of its responses; version 2 replaces it. After that, every path answers 410. Response bodies are \`{"success": true, "data": …}\` or \`{"success": false, "error": "…"}\`.\n\n${MIGRATION}\n\n${COMMON}`
    },
    v2: {
      ...AUTHORS,
      title: 'User service, version 2',
      version: '2.0.0',
      description: `${ABOUT}\n\n1. \`POST /v2/users\` registers a user and mails a code and a link.\n2. \`POST /v2/auth/tokens\` exchanges the code for an access token and a refresh token. The link shows the same code in a browser.\n3. Press **Authorize**, paste the access token and call \`GET /v2/users/me\`.\n\nErrors are \`application/problem+json\` (RFC 9457). Programs should use \`code\`, which is stable.\n\n${COMMON}`
    }
  },
  events: {
    contact: AUTHORS.contact,
    license: { name: 'MIT' },
    title: 'User service, events and messages',
    version: '1.0.0',
    description: ABOUT_EVENTS
  },
  securitySchemes: {
    bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token, from `POST /v2/auth/tokens`. It is signed and checked as RFC8725 recommends: one algorithm (EdDSA), with issuer, audience, type and expiry required.' }
  }
}
