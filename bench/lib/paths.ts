import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')
export const BENCH = join(ROOT, 'bench')

/** Bundles of the contenders. Below bench/, so that what stays outside of a bundle is found in bench/node_modules first. */
export const BUILD = join(BENCH, '.build')
