/** Sets variables of this process, and removes those that are `undefined`. Returns what puts back those that were there. */
export function setVariables (values: Record<string, string | undefined>): () => void {
  const before = Object.fromEntries(Object.keys(values).map(name => [name, process.env[name]]))
  const set = (given: typeof values) => {
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
  set(values)
  return () => set(before)
}
