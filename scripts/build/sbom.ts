import type { Metafile } from 'esbuild'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from './bundle.ts'

// The software bill of materials of an artifact: the packages whose code is in it, and no others. `npm sbom` lists what is installed,
// of which the artifact has a tenth. In the format of CycloneDX 1.6 (ECMA-424), without a time and a serial number, so that two builds
// have the same one.

interface Locked { version: string, integrity?: string, license?: string, dev?: true, optional?: true, devOptional?: true }

export interface Component {
  type: 'library'
  'bom-ref': string
  group?: string
  name: string
  version: string
  purl: string
  licenses?: ({ license: { id: string } } | { expression: string })[]
  hashes?: { alg: 'SHA-512', content: string }[]
}

export interface Sbom {
  bomFormat: 'CycloneDX'
  specVersion: '1.6'
  version: 1
  metadata: { component: { type: 'application', 'bom-ref': string, name: string, version: string, licenses: { license: { id: string } }[] } }
  components: Component[]
}

/** The folder of the package that a file belongs to, as the lock file names it; `undefined` for our own code. */
export const packageOf = (path: string): string | undefined => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]

/** The packages with code in a bundle. */
export const packagesIn = ({ outputs }: Pick<Metafile, 'outputs'>): string[] => {
  const inputs = Object.values(outputs).flatMap(output => Object.entries(output.inputs))
  return [...new Set(inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).flatMap(([path]) => packageOf(path) ?? []))].sort()
}

const readLock = () => JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }

/**
 * The packages that `npm ci --omit=dev --omit=optional` installs: what the plain server needs beside its bundle. `npm sbom` with
 * these options lists a third of them.
 */
export const packagesOfServer = (): string[] => Object.entries(readLock().packages)
  .filter(([folder, { dev, optional, devOptional }]) => folder !== '' && dev !== true && optional !== true && devOptional !== true)
  .map(([folder]) => folder)

function componentOf (folder: string, locked: Record<string, Locked>): Component {
  const found = locked[folder]
  if (found === undefined) throw new Error(`${folder} is in the artifact and not in package-lock.json: run npm ci`)
  const { version, integrity, license } = found
  const full = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length)
  const [group, name] = full.startsWith('@') ? full.split('/') as [string, string] : [undefined, full]
  const purl = `pkg:npm/${full.replace('@', '%40')}@${version}`
  return {
    type: 'library',
    'bom-ref': purl,
    ...(group === undefined ? {} : { group }),
    name,
    version,
    purl,
    ...(license === undefined ? {} : { licenses: [/ /.test(license) ? { expression: license } : { license: { id: license } }] }),
    ...(integrity?.startsWith('sha512-') === true ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex') }] } : {})
  }
}

/** The bill of an artifact that holds code of these packages. */
export function sbomOf (artifact: string, packages: string[]): Sbom {
  const { packages: locked } = readLock()
  const { version, license } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string, license: string }
  const components = new Map(packages.map(folder => componentOf(folder, locked)).map(component => [component.purl, component]))
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': artifact, name: artifact, version, licenses: [{ license: { id: license } }] } },
    components: [...components.values()].sort((a, b) => a.purl < b.purl ? -1 : 1)
  }
}

/** Writes the bill of an artifact into a file, and returns it. */
export async function writeSbom (file: string, artifact: string, packages: string[]): Promise<Sbom> {
  const sbom = sbomOf(artifact, packages)
  await writeFile(file, `${JSON.stringify(sbom, null, 2)}\n`)
  return sbom
}
