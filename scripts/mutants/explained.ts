import type { Mutant } from './copy.ts'

/** Mutants that no test can notice, or should: they change nothing that anyone could see. */
interface Explained {
  file: string | RegExp
  /** fits `code → replacement` */
  of: RegExp
  reason: string
}

/** The registry of formats is a package's, which is loaded once for all mutants: it has the format from the runs before. */
const REGISTERED = 'the registry has the format from the runs before it in the same process'

const EXPLAINED: Explained[] = [
  { file: 'src/authorizer/verifier.ts', of: /^(?:verify === undefined →|verifiers\.(?:size|set))/, reason: 'the memory of verifiers: the same verifier, made again' },
  { file: 'src/authorizer/verifier.ts', of: /^(?:typeof header\.kid|token === |kid === undefined|\{ return undefined \})/, reason: 'what follows refuses the token as well: no key has such an id, and no verifier accepts such a token' },
  { file: 'src/authorizer/answers.ts', of: /^api === undefined → false/, reason: 'a text that is split has a first part: the condition is for the compiler' },
  { file: 'src/authorizer/verifier.ts', of: /^(?:'' → "Stryker|key === undefined → false)/, reason: 'without a header there is no scheme Bearer, and a text that is split has a first part; without a key no verifier can be made' },
  { file: 'src/authorizer/jwks.ts', of: /^now\(\) - fetchedAt <= MAX_AGE → .* < MAX_AGE/, reason: 'after a fetch the set is new, or was too old before it' },
  { file: 'src/authorizer/jwks.ts', of: /^typeof key !== 'object' → false/, reason: 'what is no object has no key id' },
  { file: 'src/authorizer/jwks.ts', of: /^-Infinity →|^(?:\{ accept: )?'application\/json'/, reason: 'the first fetch starts at once, whatever the age of no set; the service sends one type only' },
  { file: 'src/plugins/cache/entry.ts', of: /^(?:\/\^\(\\d\{1,15\}\)@.* → \/\(|value\?\.version → value\.version|\{ return undefined \} → \{\})/, reason: 'what stands before an entry leaves no JSON after it, and what throws is no entry' },
  { file: 'src/plugins/cache/index.ts', of: /^CACHE_TTL_SECONDS > 0 → (?:true|.*>=)/, reason: 'a cache that is off uses no store: which one it has is a matter of memory' },
  { file: 'src/plugins/cache/read-through.ts', of: /^(?:\{ isKnown: false, entry: undefined \} → \{\}|running\.began > arrived → .*>=)/, reason: '`undefined` is as false; no two reads or loads have one number' },
  { file: 'src/plugins/cache/read-through.ts', of: /^(?:value === undefined → (?:true|false)$|checked\.delete\(key\))/, reason: 'what stays in memory: an entry is only known again by its whole text' },
  { file: 'src/plugins/cache/redis-store.ts', of: /^'' → "Stryker/, reason: 'no entry is such a text' },
  { file: 'src/plugins/cache/redis-store.ts', of: /^(?:\(\) => clearTimeout\(timer\)|\{ ok: false \} → \{\})/, reason: 'a timer that ends after 50 ms, and rejects what is settled; `undefined` is as false' },
  { file: 'src/plugins/cache/store.ts', of: /^\{ return undefined \} → \{\}/, reason: 'a function that returns nothing returns `undefined`' },
  { file: 'src/plugins/idempotency/index.ts', of: /^(?:app\.decorateRequest\('operation'|'operation' →)/, reason: 'the shape of a request, which makes it faster' },
  { file: 'src/plugins/idempotency/index.ts', of: /^(?:left > 0 → left >= 0|LEASE_MS - left < SLOW_MS → .*<=)/, reason: 'the very millisecond in which a lease ends, or an attempt counts as slow' },
  { file: 'src/plugins/idempotency/index.ts', of: /^(?:request\.user === undefined → false|attempts\.delete\(request\))/, reason: 'a request without a user has `null` there; a WeakMap forgets what belongs to a request with it' },
  { file: 'src/plugins/idempotency/index.ts', of: /^typeof header === 'string' → true/, reason: 'Node joins a header that is sent twice: the condition is for the compiler' },
  { file: 'src/plugins/idempotency/key.ts', of: /^(?:header\.startsWith\('"'\) → header\.endsWith|a < b → a <= b)/, reason: 'a key has quotes at both ends or at none, and no two properties of an object have one name' },
  { file: 'src/plugins/idempotency/store.ts', of: /^(?:outcome !== 'gone' → true|'gone' →)/, reason: 'a text has no attempt, so its attempt is not the given one' },
  { file: 'src/plugins/jwt.ts', of: /^(?:Date\.now\(\) < known\.expiry → .*<=|verified\.delete\(authorization\) → ;|'' → "Stryker)/, reason: 'what follows verifies the token anew, with the same result; no header is such a text' },
  { file: 'src/plugins/jwt.ts', of: /^\{ throw new Error\('Access tokens are signed by accessTokens/, reason: 'without a key nothing is signed either' },
  { file: 'src/plugins/jwt.ts', of: /^false → true$/, reason: 'a second memory of the same tokens: what it holds is asked for only when the first has forgotten it' },
  { file: 'src/plugins/jwt.ts', of: /^publicKey === undefined → false/, reason: 'without a key no token is verified' },
  { file: 'src/plugins/keys/derive.ts', of: /^(?:'' → "|\[\] → \[")Stryker/, reason: 'what has not the form has no signature of 32 bytes, and the whole match is not read' },
  { file: 'src/plugins/outbox/relay.ts', of: /^deadline !== undefined → true/, reason: 'no time is after `undefined`: the condition is for the compiler' },
  { file: 'src/plugins/outbox/store.ts', of: /^\[\] → \["Stryker/, reason: 'a query gives a list, if an empty one: the condition is for the compiler' },
  { file: /^src\/plugins\/idempotency\//, of: /^\{ description: '[^']*' \} → \{\}/, reason: 'what a stored field means, for readers of the code' },
  { file: 'src/shared/aws-errors.ts', of: /^(?:'' → "|\[\] → \[")Stryker/, reason: 'no error of AWS has such a name, code or reason' },
  { file: 'src/shared/conditional-write.ts', of: /^\[\] → \["Stryker/, reason: 'no reason of AWS is a text: it has neither a code nor an item' },
  { file: 'src/shared/conditional-write.ts', of: /^Math\.random\(\) \*/, reason: 'how long it waits between two attempts' },
  { file: 'src/shared/breaker.ts', of: /^openedAt === undefined → false/, reason: 'the time since `undefined` is not a number, and every comparison with it is false' },
  { file: 'src/shared/colour.ts', of: /^(?:contrast\(.*>=|share < 1 →)/, reason: 'two contrasts are never exactly equal; one more step mixes the same colour' },
  { file: 'src/shared/email-address.ts', of: /^'idn-email' → ""/, reason: REGISTERED },
  { file: 'src/shared/email-address.ts', of: /^at < 1 → false/, reason: 'without a character before the @ the address has no form of one either' },
  { file: 'src/shared/email-address.ts', of: /^\/\^\[A-Za-z0-9\.-\]\+\$\/ → \/\^\[\^/, reason: 'a shortcut for ASCII: what follows decides the same' },
  { file: 'src/shared/http-cache.ts', of: /^\[\] → \["Stryker/, reason: 'what is no entity tag matches none' },
  { file: 'src/shared/ids.ts', of: /^id\.slice\(0, 8\) → id$/, reason: 'a number ends at the first dash' },
  { file: 'src/shared/errors.ts', of: /^\/\^#\?/, reason: 'a pointer begins with a slash, or is empty' },
  { file: 'src/shared/locale.ts', of: /^'language-tag' → ""/, reason: REGISTERED },
  { file: 'src/shared/locale.ts', of: /^(?:held !== undefined|known\.(?:size|clear|set))/, reason: 'the memory of tags: the same tags, computed again' },
  { file: 'src/shared/locale.ts', of: /^(?:'' → "Stryker|tag === '\*' → false|'\*' →)/, reason: 'neither is a language tag, and a text that is split has a first part' },
  { file: 'src/shared/locale.ts', of: /^tag\.length > MAX_TAG/, reason: 'a tag that is too long is no language tag for Intl either' },
  { file: 'src/shared/network.ts', of: /^isIPv4\(address\) → false/, reason: 'a shortcut: what follows gives the same network' },
  { file: 'src/shared/network.ts', of: /^\[\] → \["Stryker|\$\/ → .*\(\\d\+\)\/$/, reason: 'the first match is not read; an IPv4 address within an IPv6 address ends it' },
  { file: 'src/shared/network.ts', of: /^version !== 0 → true|^'ipv6' → ""/, reason: 'a list holds nothing that is no address; Node takes every word but ipv4 as ipv6' },
  { file: 'src/shared/person-name.ts', of: /^'person-name' → ""/, reason: REGISTERED },
  { file: 'src/shared/person-name.ts', of: /^(?:PLAIN\.test|\/\^\[ -~\]|name\.replaceAll\(' '|length < MIN_NAME)/, reason: 'a shortcut for names in ASCII: what follows decides the same' },
  { file: 'src/shared/person-name.ts', of: /^shown\.match\(VISIBLE\)\?\.length →/, reason: 'a name that begins with neither a blank nor a mark has a visible character' },
  { file: 'src/shared/static-answer.ts', of: /level: 9|zlib\.constants|WORTH_COMPRESSING/, reason: 'levels of compression, and the size from which it is worth it: the same content in a few bytes more or less' }
]

export const reasonFor = ({ file, code, replacement }: Pick<Mutant, 'file' | 'code' | 'replacement'>): string | undefined =>
  EXPLAINED.find(explained => (typeof explained.file === 'string' ? explained.file === file : explained.file.test(file)) && explained.of.test(`${code} → ${replacement}`))?.reason
