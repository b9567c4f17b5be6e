/** An invalid configuration. The message is one line that names each bad variable and its error. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  code = 'CONFIG_INVALID'
}
