import type { ApiText } from './plugins/docs/index.ts'

// What the API documents say beside the routes. What concerns one module is in its routes.

const ABOUT = `Registration, sign-in and profiles.

Accounts are opened and signed in to with an e-mail address alone: a code is mailed to the address, and sending it back proves that the address is yours. There are no passwords.`

const COMMON = 'Every answer carries `x-correlation-id`: yours, if the request had one of up to 64 letters, digits, dots, dashes and underscores, else a new one. Quote it when you report a problem. Bodies are JSON in UTF-8 of up to 64 KiB, not compressed; properties that are not documented are rejected. A method that a known path does not have is a 405 with `Allow`.'

const AUTHORS = { contact: { name: 'The maintainers of the user service' }, license: { name: 'MIT', identifier: 'MIT' } }

/** Title and introduction of each version's document, and how its operations are authorized. */
export const API: ApiText = {
  info: {
    v1: {
      ...AUTHORS,
      title: 'User service, version 1',
      version: '1.0.0',
      description: `${ABOUT}\n\nThis version is frozen and will end on the day in the \`Sunset\` header of its answers; version 2 succeeds it. Answers are \`{"success": true, "data": …}\` or \`{"success": false, "error": "…"}\`.\n\n${COMMON}`
    },
    v2: {
      ...AUTHORS,
      title: 'User service, version 2',
      version: '2.0.0',
      description: `${ABOUT}\n\n1. \`POST /v2/users\` registers; the mail that follows holds a code and a link.\n2. \`POST /v2/auth/tokens\` exchanges the code for an access token and a refresh token; the link shows the same code in a browser.\n3. Press **Authorize**, paste the access token, and \`GET /v2/users/me\` answers.\n\nErrors are \`application/problem+json\` (RFC 9457); programs should look at \`code\`, which is stable.\n\n${COMMON}`
    }
  },
  securitySchemes: {
    bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token, from `POST /v2/auth/tokens`' }
  }
}
