/** Works on many things, a few at the same time. */
export async function inParallel<T> (things: readonly T[], work: (thing: T) => Promise<void>, width = 16): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: Math.min(width, things.length) }, async () => {
    for (let i = next++; i < things.length; i = next++) await work(things[i]!)
  }))
}
