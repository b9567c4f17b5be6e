import { zipSync } from 'fflate'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** Zips a directory reproducibly: sorted names, one date, one mode. */
export async function zipDirectory (directory: string): Promise<Uint8Array> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => relative(directory, join(entry.parentPath, entry.name))).sort()
  // Zip files store local time. This date gives the same bytes in every time zone.
  const options = { level: 9, mtime: new Date(2000, 0, 1), os: 3, attrs: 0o644 << 16 } as const
  const contents: Parameters<typeof zipSync>[0] = {}
  for (const file of files) contents[file.replaceAll('\\', '/')] = [await readFile(join(directory, file)), options]
  return zipSync(contents)
}
