/**
 * A line of a dotenv file that a shell (`set -a; . .env`), Node's `--env-file` and dotenv read the same way.
 *
 * @throws when no quoting works for all three
 */
export function dotenvLine (name: string, value: string): string {
  if (/^[\w@%+=:,./-]*$/.test(value)) return `${name}=${value}`
  if (!/['\r\n]/.test(value)) return `${name}='${value}'`
  // A shell expands these inside double quotes, the others do not.
  if (/["$`\\\r\n]/.test(value)) throw new Error(`${name} cannot be written to a dotenv file: it has an apostrophe and one of " $ \` \\, or a line break`)
  return `${name}="${value}"`
}
