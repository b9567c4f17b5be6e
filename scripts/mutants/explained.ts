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

/** What a plugin needs is registered before it in src/app.ts. */
const PLUGIN = 'the name and the needs of a plugin: they only report an order of src/app.ts that is wrong'

const EXPLAINED: Explained[] = [
  { file: 'src/authorizer/verifier.ts', of: /^(?:verify === undefined →|verifiers\.(?:size|set))/, reason: 'the memory of verifiers: the same verifier, made again' },
  { file: 'src/authorizer/verifier.ts', of: /^(?:typeof header\.kid|token === |kid === undefined|\{ return undefined \})/, reason: 'what follows refuses the token as well: no key has such an id, and no verifier accepts such a token' },
  { file: 'src/authorizer/answers.ts', of: /^api === undefined → false/, reason: 'a text that is split has a first part: the condition is for the compiler' },
  { file: 'src/authorizer/verifier.ts', of: /^(?:'' → "Stryker|key === undefined → false)/, reason: 'without a header there is no scheme Bearer, and a text that is split has a first part; without a key no verifier can be made' },
  { file: 'src/authorizer/jwks.ts', of: /^now\(\) - fetchedAt <= MAX_AGE → .* < MAX_AGE/, reason: 'after a fetch the set is new, or was too old before it' },
  { file: 'src/authorizer/jwks.ts', of: /^typeof key !== 'object' → false/, reason: 'what is no object has no key id' },
  { file: 'src/authorizer/jwks.ts', of: /^-Infinity →|^(?:\{ accept: )?'application\/json'/, reason: 'the first fetch starts at once, whatever the age of no set; the service sends one type only' },
  { file: 'src/modules/auth/events.ts', of: /^account === undefined → false/, reason: 'without an account there is no type of mail: the condition is for the compiler' },
  { file: 'src/modules/auth/events.ts', of: /^invitedBy === undefined → false/, reason: 'no account has the id `undefined`, and none is looked for' },
  { file: 'src/modules/auth/index.ts', of: /^(?:\{ name: 'auth', dependencies: .*|'auth' → ""|\['users', 'email', .*→ \[\])/, reason: PLUGIN },
  { file: 'src/modules/auth/index.ts', of: /^'recipient-domain' → ""/, reason: 'a name that no other bucket has, whichever' },
  { file: 'src/modules/auth/service.ts', of: /^said === undefined → false/, reason: 'without a registration the check of one looks at the address alone, by the same rules' },
  { file: 'src/modules/auth/service.ts', of: /^undoes !== undefined → true/, reason: 'the code of another challenge undoes no change' },
  { file: 'src/modules/auth/service.ts', of: /^token === undefined → false/, reason: 'without a token there is no session: the condition is for the compiler' },
  { file: 'src/modules/auth/service.ts', of: /^\{ isSignIn: false \} → \{\}/, reason: 'what is not said to be a sign-in is none' },
  { file: 'src/modules/auth/service.ts', of: /^device === undefined → false/, reason: 'what is undefined is not stored' },
  { file: 'src/plugins/load-shedding.ts', of: /^(?:\{ name: 'load-shedding', dependencies: .*|'load-shedding' → ""|\['errors', 'metrics', 'cors'\] → \[\])/, reason: PLUGIN },
  { file: 'src/plugins/load-shedding.ts', of: /^'running' → ""/, reason: 'any word that is neither of the two others' },
  { file: 'src/plugins/rate-limit/index.ts', of: /^(?:\{ name: 'rate-limit', dependencies: .*|'rate-limit' → ""|\['config'\] → \[\])/, reason: PLUGIN },
  { file: 'src/plugins/rate-limit/index.ts', of: /^'' → "Stryker/, reason: 'what is no address is of the network `unknown`' },
  { file: 'src/plugins/rate-limit/index.ts', of: /^counted\.isAllowed → false/, reason: 'nobody is on a list of those who are not limited: the condition is for the compiler' },
  { file: 'src/plugins/rate-limit/index.ts', of: /^(?:key\.length > MAX_KEY|'base64' →)/, reason: 'a key has a count of its own, hashed or not: only the memory differs' },
  { file: 'src/plugins/rate-limit/counters.ts', of: /^(?:'' → "Stryker|\[\] → \["Stryker)/, reason: 'a network has all its groups, and what is no network is in no block' },
  { file: 'src/plugins/rate-limit/counters.ts', of: /^':' → ""/, reason: 'a shortcut: an IPv4 address is in no block' },
  { file: 'src/plugins/rate-limit/counters.ts', of: /^(?:count > 0|blocks\.delete)/, reason: 'a block without networks is as one that is not remembered: only the memory differs' },
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
