'use strict'
// CommonJS and plain JavaScript, so that an old Node gets as far as this line. Older ones stop at the first type.
const NEEDED = 24

if (Number.parseInt(process.versions.node, 10) < NEEDED) {
  console.error(`This is Node ${process.versions.node}, and Node ${NEEDED} or newer is needed: npm start brings it along on Linux; elsewhere it comes from https://nodejs.org`)
  process.exit(1)
}
