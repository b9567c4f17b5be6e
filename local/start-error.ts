/** A start that cannot be; its message is one line for a person. */
export class StartError extends Error {
  override name = 'StartError'
}
