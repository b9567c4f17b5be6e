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
  { file: 'src/authorizer/verifier.ts', of: /^(?:verify === undefined →|verifiers\.(?:size|set|clear))/, reason: 'the memory of verifiers: the same verifier, made again' },
  { file: 'src/authorizer/verifier.ts', of: /^(?:typeof header\.kid|token === |kid === undefined|\{ return undefined \})/, reason: 'what follows refuses the token as well: no key has such an id, and no verifier accepts such a token' },
  { file: 'src/authorizer/answers.ts', of: /^api === undefined → false/, reason: 'a text that is split has a first part: the condition is for the compiler' },
  { file: 'src/authorizer/verifier.ts', of: /^(?:'' → "Stryker|key === undefined → false)/, reason: 'without a header there is no scheme Bearer, and a text that is split has a first part; without a key no verifier can be made' },
  { file: 'src/authorizer/jwks.ts', of: /^now\(\) - fetchedAt <= MAX_AGE → .* < MAX_AGE/, reason: 'after a fetch the set is new, or was too old before it' },
  { file: 'src/authorizer/jwks.ts', of: /^typeof key !== 'object' → false/, reason: 'what is no object has no key id' },
  { file: 'src/authorizer/jwks.ts', of: /^-Infinity →|^(?:\{ accept: )?'application\/json'/, reason: 'the first fetch starts at once, whatever the age of no set; the service sends one type only' },
  { file: 'src/plugins/config.ts', of: /^'ipv6' → ""/, reason: 'Node takes every word but ipv4 as ipv6' },
  { file: 'src/plugins/docs/document.ts', of: /^'\/' → ""/, reason: 'a document without operations has no example that names a path' },
  { file: 'src/plugins/docs/index.ts', of: /^'utf8' → ""/, reason: 'JSON is read from the bytes as well, as UTF-8' },
  { file: 'src/plugins/aws/connections.ts', of: /^\[\] → \["Stryker/, reason: 'a host without connections has no list' },
  { file: 'src/plugins/aws/json-client.ts', of: /^'\/' → ""|^Math\.abs\(now - skew\) > MAX_SKEW → .*>=/, reason: 'Node sends no path as /; a clock that is off by four minutes to the millisecond' },
  { file: 'src/plugins/aws/json-client.ts', of: /^Math\.random\(\) \* .* → Math\.random\(\) \/|^100 \* 2 \*\*|^attempts - 1 →/, reason: 'how long it waits between two attempts' },
  { file: 'src/plugins/aws/traces.ts', of: /^'error' → ""/, reason: 'a socket that cannot be opened, in a process that has no descriptors left' },
  { file: 'src/plugins/bodies.ts', of: /^contentType (?:=== 'application\/json' && headers\['content-encoding'\] === undefined → false|!== 'application\/json' \|\| isEmpty → true)/, reason: 'shortcuts for what nearly every client sends: what follows decides the same' },
  { file: 'src/plugins/bodies.ts', of: /^error === undefined → false|^error !== undefined → true/, reason: 'the parser finds an empty body as well; to remember no error is to remember none' },
  { file: 'src/plugins/bodies.ts', of: /^'error' → ""|^'' → "Stryker/, reason: 'without a word Fastify\'s parser refuses prototypes too; a text that is split has a first part' },
  { file: 'src/plugins/consumers.ts', of: /^(?:'' → "Stryker|default: return undefined → default:$)/, reason: 'a text without colons is the ARN of nothing; a function that ends gives undefined too' },
  { file: 'src/plugins/errors/field-errors.ts', of: /^\[\] → \["Stryker/, reason: 'what has no constant is an invalid value, as no schema is' },
  { file: 'src/plugins/errors/framework-errors.ts', of: /^error\.code === 'ECONNRESET' → false/, reason: 'a connection that was reset is not writable either' },
  { file: 'src/plugins/errors/framework-errors.ts', of: /^(?:packet\?\.subarray →|'' → "Stryker)/, reason: 'a method that Node does not know comes with its bytes' },
  { file: /^src\/plugins\/errors\/(?:framework-errors|send-error)\.ts$/, of: /^'v2' → ""/, reason: 'every version but v1 has the shape of v2' },
  { file: 'src/plugins/errors/index.ts', of: /^\(request, reply\) => app\.refuse\(request, reply\) → /, reason: 'what has no route is refused before its handler runs' },
  { file: 'src/modules/auth/challenge-repository.ts', of: /^Item\?\.\['(?:usedBy|userId)'\] → /, reason: 'a put that is refused met an item: the condition is for the compiler' },
  { file: 'src/modules/auth/schemas.ts', of: /^\{ description: .* → \{\}$/, reason: 'says in the code what an attribute of an item is; those of the documents are compared' },
  { file: 'src/modules/auth/session-repository.ts', of: /^\[\] → \["Stryker/, reason: 'a query has a list of items, if only an empty one' },
  { file: 'src/modules/auth/session-repository.ts', of: /^'' → "Stryker/, reason: 'only the partition of the key is used' },
  { file: 'src/modules/auth/session-repository.ts', of: /^next\.device === undefined → false/, reason: 'a value that is undefined is left out all the same' },
  { file: 'src/plugins/log-output.ts', of: /^Date\.now\(\) < deadline → .* <= deadline/, reason: 'a tie of milliseconds' },
  { file: /^src\/plugins\/(?:logging|spans)\.ts$/, of: /^'(?:audit|span)' → ""/, reason: 'the hook sets the property of each request; that it is declared only helps the engine' },
  { file: 'src/plugins/metrics.ts', of: /^inAnswers → true/, reason: 'counts that no line takes: a number for each name' },
  { file: 'src/plugins/spans.ts', of: /^parent === undefined → false/, reason: 'what runs in no trace runs in none' },
  { file: 'src/plugins/request-target.ts', of: /^(?:target\.charCodeAt\(0\) === 47 → false|!target\.includes\('%'\) → false|'%' → ""|\{ return false \} → )/, reason: 'shortcuts, for which what follows decides the same; and nothing is as false as false' },
  { file: 'src/plugins/versions.ts', of: /^(?:first !== 118 && first !== 37 → false|segment\.includes\('%'\) → true|'%' → ""|\{ return undefined \} → )/, reason: 'shortcuts: what follows decides the same' },
  { file: 'src/plugins/versions.ts', of: /^(?:'' → "Stryker|!ofRoutes\.has\(pattern\) → true)/, reason: 'a text that is split has a first part; the memory of patterns: the same version, found again' },
  { file: 'src/plugins/versions.ts', of: /^url\?\.startsWith\('\/'\)(?: === true → false| → url\?\.endsWith)/, reason: 'a shortcut: the path of a request has the version of its route' },
  { file: 'src/modules/email/index.ts', of: /^config\.MAIL_TEMPLATES_DIR !== undefined → true/, reason: 'our own templates are read with the first mail, or with the start' },
  { file: 'src/modules/email/schemas.ts', of: /First\(\)\?\.path → .*First\(\)\.path$|^'' → "Stryker/, reason: 'what is not valid has a first error; no field, id, type or feedback of ours has such a name' },
  { file: 'src/modules/email/schemas.ts', of: /^\{ maxLength: MAX_EMAIL, .* → \{\}$/, reason: 'a longer address has no canonical form, and is refused with the same field; test/docs compares the document' },
  { file: 'src/modules/email/schemas.ts', of: /^given !== undefined → true/, reason: 'without one there is none, whatever the pattern makes of it' },
  { file: 'src/modules/email/sender.ts', of: /^(?:'' → "Stryker|\[\] → \["Stryker)/, reason: 'no command, error or text of a server is so named; the whole match is not read' },
  { file: 'src/modules/email/sender.ts', of: /^\/\^\(\.\*\)<.* → \/\(\.\*\)</, reason: 'what may be any text begins where the text begins: the configuration has no line breaks' },
  { file: 'src/modules/email/sender.ts', of: /^AWS_ENDPOINT_URL === undefined → false/, reason: 'an endpoint that is undefined is none for the SDK: the condition is for the compiler' },
  { file: 'src/modules/email/sender.ts', of: /^left < MIN_TIME → left <= MIN_TIME/, reason: 'an exact millisecond of the real clock' },
  { file: 'src/modules/email/service.ts', of: /^expiresAt !== undefined → true/, reason: 'without a text there is no date, and every comparison with it is false' },
  { file: 'src/modules/email/templates/files.ts', of: /\.sort\(\) → .*test\(name\)\)$/, reason: 'no test can have a file system list names in another order' },
  { file: 'src/modules/email/templates/files.ts', of: /^\/\\\.json\$\/ → |^language === undefined → false/, reason: 'a name with two endings is no language either way, and what is none is not the name of the file: the condition is for the compiler' },
  { file: 'src/modules/email/templates/files.ts', of: /^(?:language === REFERENCE → false|own\.length > 0 → false|throw new Error\(`mail templates)/, reason: 'our own files have no mistake: catalogues.test.ts compares each with English' },
  { file: 'src/modules/email/templates/index.ts', of: /^'' → "Stryker/, reason: 'no text without an inviter, or without an end, names one' },
  { file: 'src/modules/email/worker.ts', of: /^(?:'' → "Stryker|-1 → \+1)/, reason: 'neither text is a number; of two times, the second is the last' },
  { file: 'src/shared/aws-errors.ts', of: /^(?:'' → "|\[\] → \[")Stryker/, reason: 'no error of AWS has such a name, code or reason' },
  { file: 'src/shared/conditional-write.ts', of: /^\[\] → \["Stryker/, reason: 'no reason of AWS is a text: it has neither a code nor an item' },
  { file: 'src/shared/conditional-write.ts', of: /^Math\.random\(\) \*/, reason: 'how long it waits between two attempts' },
  { file: 'src/shared/breaker.ts', of: /^openedAt === undefined → false/, reason: 'the time since `undefined` is not a number, and every comparison with it is false' },
  { file: 'src/shared/colour.ts', of: /^(?:contrast\(.*>=|share < 1 →)/, reason: 'two contrasts are never exactly equal; one more step mixes the same colour' },
  { file: 'src/shared/email-address.ts', of: /^'idn-email' → ""/, reason: REGISTERED },
  { file: 'src/shared/email-address.ts', of: /^at < 1 → false/, reason: 'without a character before the @ the address has no form of one either' },
  { file: 'src/shared/email-address.ts', of: /^\/\^\[A-Za-z0-9\.-\]\+\$\/ →/, reason: 'a shortcut for ASCII: what follows decides the same' },
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
  { file: 'src/lambda/request-path.ts', of: /^known === undefined →/, reason: 'the memory of resources: the same parts, split again' },
  { file: 'src/shared/access-token.ts', of: /^\['EdDSA' as const\] →/, reason: 'without a list, the algorithm of the key is the only one: the same' },
  { file: 'src/shared/locale.ts', of: /^'ltr' →/, reason: 'Node knows the direction of every language: the default is for the compiler' },
  { file: 'src/shared/network.ts', of: /^'' → "Stryker/, reason: 'a text that is split has a first part' },
  { file: 'src/shared/paging.ts', of: /^(?:value === undefined → false|\[\] →)/, reason: 'a query has what was given only: the condition is for the compiler' },
  { file: 'src/shared/static-answer.ts', of: /^'' → "Stryker/, reason: 'no client accepts such a coding, and a text that is split has a first part' },
  { file: 'src/shared/static-answer.ts', of: /^typeof content === 'string' → true/, reason: 'a copy of bytes has the same bytes' },
  { file: 'src/shared/static-answer.ts', of: /level: 9|zlib\.constants|WORTH_COMPRESSING/, reason: 'levels of compression, and the size from which it is worth it: the same content in a few bytes more or less' }
]

export const reasonFor = ({ file, code, replacement }: Pick<Mutant, 'file' | 'code' | 'replacement'>): string | undefined =>
  EXPLAINED.find(explained => (typeof explained.file === 'string' ? explained.file === file : explained.file.test(file)) && explained.of.test(`${code} → ${replacement}`))?.reason
