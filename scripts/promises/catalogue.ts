/** What the service keeps, and what its figure must be. */
export interface Promised {
  /** its number in docs/promises.md, and in the tests' `report` */
  number: number
  text: string
  /** why the figure is not reached, if it is known not to be: the page shows it beside the figure that was measured */
  notReached?: string
}

export interface Group {
  title: string
  promises: Promised[]
}

/** Every promise. Which tests hold one is not written here: those that report its figure. */
export const CATALOGUE: Group[] = [
  {
    title: 'Nothing is lost',
    promises: [
      { number: 1, text: '10,000 registrations with 20 kill -9 of the database engine: 0 acknowledged users lost, 0 half-written, 0 duplicate accounts; every acknowledged user gets the mail after the recovery' },
      { number: 2, text: 'A lost answer is not a conflict: our own retry of a committed write succeeds' },
      { number: 3, text: '200 parallel registrations of each of 50 addresses: 50 accounts, 0 × 5xx' },
      { number: 4, text: '50 kill -9 of the API process at random points: 0 acknowledged users without a mail' },
      { number: 5, text: '1,000 queue messages, each delivered three times, out of order, concurrently: 1,000 mails' },
      { number: 6, text: 'The worker killed between the acceptance of a mail and its record, 100 times: 0 lost, duplicates at most as many as kills, with the same code and Message-ID. Mail that comes exactly once does not exist' },
      { number: 7, text: 'A batch of 10 with 3 invalid messages: exactly those 3 reported, 7 mails, 3 messages in the dead-letter queue; `npm run dlq -- redrive` sends them once the cause is gone' },
      { number: 8, text: 'One invalid stream record in 1,000: 999 relayed at once, 1 in the failure queue, after a finite number of retries' },
      { number: 9, text: 'The mail provider down for ten minutes (fake clock): 0 lost, with a back-off' },
      { number: 10, text: '`Idempotency-Key`: 500 keys, each sent three times at once: 500 effects; another body 422; still running 409; a kill between write and answer still gives one effect' },
      { number: 11, text: 'Expired, but not yet removed by TTL: always refused' },
      { number: 12, text: 'After DELETE: no readable trace (user, claim, sessions, cache, avatar), the address can register again, every token is dead' }
    ]
  },
  {
    title: 'Faults stay outside',
    promises: [
      { number: 13, text: 'Redis killed, frozen, slow, resetting, at 200 reads a second: 0 errors; p99 less than 60 ms more in the first second, less than 5 ms after it; cached again within 5 s' },
      { number: 14, text: '1,000 concurrent readers of one cold key: one read of DynamoDB in a process' },
      { number: 15, text: '10,000 rounds of update and read over two instances with a racing reader: an own write is never stale; others are stale for the TTL at most' },
      { number: 16, text: "100 invalid cache entries (bad JSON, another user's record, 1 MB, `__proto__`): 0 × 5xx, 0 wrong bodies, each entry replaced" },
      { number: 17, text: 'DynamoDB silent: 503 with `Retry-After` within 2.5 s, at most 3 attempts a request. All calls throttled: at most 1.5 calls a request' },
      { number: 18, text: '100 rounds of freeze and thaw with every socket reset: clients see 0 errors' },
      { number: 19, text: 'SIGTERM at 500 requests a second on kept connections: 0 requests dropped, readiness fails first, exit within 10 s' },
      { number: 20, text: '1,000,000 distinct client addresses: less than 50 MB more memory' }
    ]
  },
  {
    title: 'Only the owner gets in',
    promises: [
      { number: 21, text: '10,000 requests of an OpenAPI fuzzer on both transports (socket and Lambda events): 0 × 5xx, 0 undocumented statuses, 0 violations of a schema' },
      { number: 22, text: 'Content types, charsets, duplicate keys, BOM, `__proto__`: 300 variants, 0 bodies accepted without validation' },
      { number: 23, text: 'One byte over the limit: 413. Depth 100,000: 400 within 50 ms. 500 clients that drip bytes: all closed within 12 s, while others are served' },
      { number: 24, text: '1,000 hostile correlation ids and names: every log line is valid JSON, no header is split, one SMTP recipient, no added header' },
      { number: 25, text: 'Forged `X-Forwarded-*`, `Forwarded`, `x-apigateway-event`, `Host`: address, limit and claims do not change' },
      { number: 26, text: 'At least 40 bad tokens (none, confusion of HS and EdDSA, embedded key, wrong key, kid, aud, iss, typ, expired, no exp, truncated, 16 KB …): all 401, one body' },
      { number: 27, text: 'Every operation of the OpenAPI documents for each kind of caller, version 1 included: 0 leaks; no property (`role`, `version`) of a body is accepted that is not documented' },
      { number: 28, text: "50 parallel wrong codes: at most 5 compared. 50 parallel right ones: one session. 1,000 hostile tries by strangers: the owner's right code gets 0 × 401" },
      { number: 29, text: 'Known and unknown address, 2 × 5,000 pairs in random order, on registration and sign-in: same status, headers and shape; medians less than 0.5 ms apart' },
      { number: 30, text: '1,000 requests from 1,000 networks for one address: at most 15 mails an hour, 30 a day. From one network: at most 5 an hour, 10 a day. Beyond it 429 with `Retry-After`, known address or not' },
      { number: 31, text: '50 parallel uses of one refresh token: one lineage; late reuse ends the session, after a restart too. Ten key rotations at 200 requests a second: 0 false 401' },
      { number: 32, text: '60 spellings of e-mail addresses (Kelvin sign, dotless i, full-width, IDN, quoted, CRLF, comma, encoded-word): 0 collisions, mail only to the stored address' },
      { number: 33, text: 'A canary address, name, code and token through every flow, errors included, at TRACE: 0 found in logs; codes and tokens in no queue and no table' },
      { number: 34, text: "`npm audit` without high findings; each function's IAM actions are the actions that it uses", notReached: 'the registry in use had no audit service' }
    ]
  },
  {
    title: 'Order and the present',
    promises: [
      { number: 35, text: 'Stream and queue down for fifteen minutes: 0 mails with an expired code, and the next request of each address gets its mail' },
      { number: 36, text: 'Entries of each event type late, twice and out of order: 0 mails to a deleted account, 0 sessions ended that the present does not end, 0 addresses written back after an erasure; events carry what shows their order' },
      { number: 37, text: 'The event bus fails for every entry: sign-in entries are relayed within 10 s; each sweep ends within its time and counts what it did' },
      { number: 38, text: '10,000 interleavings of each race (register ∥ register, refresh ∥ refresh ∥ revoke, e-mail change ∥ e-mail change ∥ delete, stream ∥ sweep, worker ∥ worker): 0 violations' },
      { number: 39, text: 'kill -9 of everything under load, then a start on one machine: every acknowledged mail within 10 s of the start' }
    ]
  }
]

export const PROMISES: Promised[] = CATALOGUE.flatMap(({ promises }) => promises)
