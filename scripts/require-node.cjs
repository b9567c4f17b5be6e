'use strict'
// CommonJS and plain JavaScript, so that an old Node gets as far as this line. Older ones stop at the first type.
const { existsSync } = require('node:fs')
const { join } = require('node:path')

const NEEDED = 24

if (!existsSync(join(__dirname, '../node_modules'))) {
  console.error('The packages are missing: run npm ci first')
  process.exit(1)
}
if (Number.parseInt(process.versions.node, 10) < NEEDED) {
  console.error(`This is Node ${process.versions.node}, and Node ${NEEDED} or newer is needed: on Linux npm ci brings it along for the commands of npm, elsewhere it comes from https://nodejs.org`)
  process.exit(1)
}
