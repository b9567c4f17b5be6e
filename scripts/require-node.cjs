'use strict'
// CommonJS and plain JavaScript, so that an old Node can run this file. It would fail at the first type annotation.
const { existsSync } = require('node:fs')
const { join } = require('node:path')

const NEEDED = 24

if (!existsSync(join(__dirname, '../node_modules'))) {
  console.error('The packages are missing: run npm ci first')
  process.exit(1)
}
if (Number.parseInt(process.versions.node, 10) < NEEDED) {
  console.error(`This is Node ${process.versions.node}, but Node ${NEEDED} or newer is needed: on Linux npm ci installs it for npm's commands, elsewhere get it from https://nodejs.org`)
  process.exit(1)
}
// Node keeps what it has compiled, so that the next start takes half as long. Tests name the same folder.
require('node:module').enableCompileCache(join(__dirname, '../.cache/compiled'))
