/** An error that prevents the start. Its message is one line for the user. */
export class StartError extends Error {
  override name = 'StartError'
}
