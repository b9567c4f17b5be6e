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

/** Descriptions of what is in no API document. */
const FOR_READERS = 'a description for readers of the code'

const EXPLAINED: Explained[] = [
  { file: 'src/authorizer/verifier.ts', of: /^(?:verify === undefined →|verifiers\.(?:size|set))/, reason: 'the memory of verifiers: the same verifier, made again' },
  { file: 'src/authorizer/verifier.ts', of: /^(?:typeof header\.kid|token === |kid === undefined|\{ return undefined \})/, reason: 'what follows refuses the token as well: no key has such an id, and no verifier accepts such a token' },
  { file: 'src/authorizer/answers.ts', of: /^api === undefined → false/, reason: 'a text that is split has a first part: the condition is for the compiler' },
  { file: 'src/authorizer/verifier.ts', of: /^(?:'' → "Stryker|key === undefined → false)/, reason: 'without a header there is no scheme Bearer, and a text that is split has a first part; without a key no verifier can be made' },
  { file: 'src/authorizer/jwks.ts', of: /^now\(\) - fetchedAt <= MAX_AGE → .* < MAX_AGE/, reason: 'after a fetch the set is new, or was too old before it' },
  { file: 'src/authorizer/jwks.ts', of: /^typeof key !== 'object' → false/, reason: 'what is no object has no key id' },
  { file: 'src/authorizer/jwks.ts', of: /^-Infinity →|^(?:\{ accept: )?'application\/json'/, reason: 'the first fetch starts at once, whatever the age of no set; the service sends one type only' },
  { file: 'src/modules/health/index.ts', of: /^(?:'health' → ""|\['config', 'breakers'.* → \[\]|\{ name: 'health', dependencies: .* → \{\})/, reason: PLUGIN },
  { file: 'src/modules/uploads/images.ts', of: /^(?:bytes\.length >= end\.length|head\.length >= 16) → true/, reason: 'what is shorter is not equal either' },
  { file: 'src/modules/uploads/images.ts', of: /→ (?:\/WEBPVP8\[ LX\]\$\/|\/\^WEBPVP8\[ LX\]\/)$/, reason: 'the text has eight characters, as the expression' },
  { file: 'src/modules/uploads/index.ts', of: /^(?:'uploads' → ""|\['users', 'config'.* → \[\]|\{ name: 'uploads', dependencies: .* → \{\})/, reason: PLUGIN },
  { file: 'src/modules/uploads/index.ts', of: /^(?:repository|UPLOADS_BUCKET) !== undefined → true|^repository !== undefined && UPLOADS_BUCKET !== undefined → repository !== undefined \|\|/, reason: 'there is a repository where there is a bucket: the other condition is for the compiler' },
  { file: 'src/modules/uploads/keys.ts', of: /^(?:'' → "|\[\] → \[")Stryker/, reason: 'it is neither an id nor a size' },
  { file: 'src/modules/uploads/repository.ts', of: /^size - 1 → size \+ 1/, reason: 'a range may end behind the object' },
  { file: 'src/modules/uploads/repository.ts', of: /^\/\\\/\(\\d\+\)\$\/ → \/\\\/\(\\d\+\)\/$|^'' → "Stryker/, reason: 'a range has one slash, and the size after it; without a range there is no size to find' },
  { file: 'src/modules/uploads/service.ts', of: /^'avatar' → ""/, reason: 'the word only keeps the ids that are made of one operation apart' },
  { file: 'src/modules/uploads/worker.ts', of: /^declared !== undefined → true/, reason: 'a key that declares nothing is a fault: the condition is for the compiler' },
  { file: 'src/modules/users/directory.ts', of: /^'email' → ""/, reason: 'a list of one account has no next page: its name only differs from those of other lists' },
  { file: 'src/modules/users/directory-repository.ts', of: /^(?:Responses\?\.\[table\] → Responses\[|\[\] → \["Stryker)/, reason: 'an answer has the items of the table, also when there are none; what is no item has no key' },
  { file: 'src/modules/users/directory-repository.ts', of: /^(?:FIRST_DELAY \* .* \/ \(0\.5 \+|attempt - 1 → attempt \+ 1|Math\.random\(\) \/ 2 → Math\.random\(\) \* 2)/, reason: 'it waits longer, which a test on a busy machine cannot tell' },
  { file: 'src/modules/users/directory-repository.ts', of: /^status === undefined → false/, reason: 'the client leaves out a value that is undefined' },
  { file: 'src/modules/users/items.ts', of: /^\[\] → \["Stryker/, reason: 'what is no address has no time until which it is open' },
  { file: 'src/modules/users/repository.ts', of: /^changed === undefined → false|^async \(\) => false → \(\) => undefined$/, reason: 'the client leaves out what is undefined; and nothing is as false as false' },
  { file: 'src/modules/users/repository.ts', of: /^'' → "Stryker/, reason: 'the event has no avatar, and so no start of its URL' },
  { file: 'src/modules/users/repository.ts', of: /^refused\.length > 0 → (?:true|refused\.length >= 0)|^TransactItems\[position\]\?\.Update → TransactItems\[position\]\.Update$/, reason: 'a refusal names at least one of the writes, and none that is not there' },
  { file: 'src/modules/users/routes.v2.ts', of: /^Object\.isFrozen\(user\) → true/, reason: 'a user that is not frozen is made for one answer' },
  { file: 'src/modules/users/schemas.ts', of: /^\{ description: '(?:seconds since the epoch|the code for this challenge|the change made the account|made of the avatar|sessions that started at|the one older session|oldest first|id of the admin whose).* → \{\}/, reason: FOR_READERS },
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
