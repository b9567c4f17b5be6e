import { renameSync, writeFileSync, type WriteFileOptions } from 'node:fs'

/** Writes a new file and renames it into place, so that a kill or a full disk leaves the old one, and no incomplete one. */
export function replaceFile (file: string, text: string, options?: WriteFileOptions): void {
  writeFileSync(`${file}.new`, text, options)
  renameSync(`${file}.new`, file)
}
