import { closeSync, openSync, writeSync } from 'node:fs'
import { importRows } from '../../scripts/users/import.ts'
import { surveyRows } from '../../scripts/users/rows.ts'

// Imports a file of many rows into nothing, in a process with a small heap, and prints what it took.

const [file = '', rows = ''] = process.argv.slice(2)
const output = openSync(file, 'w')
for (let i = 0; i < Number(rows); i += 1000) {
  writeSync(output, Array.from({ length: 1000 }, (_, j) => `{"email":"user-${i + j}@example.com","name":"User Number ${i + j}","locale":"en"}\n`).join(''))
}
closeSync(output)
const began = performance.now()
let rss = 0
const { digest } = await surveyRows(file, 'ndjson')
const { registered, refused } = await importRows({
  file,
  format: 'ndjson',
  digest,
  target: 'nowhere',
  restart: false,
  register: async users => users.map((_, i) => ({ status: i === 0 ? 409 : 201 })),
  onProgress () { rss = Math.max(rss, process.memoryUsage.rss()) },
  signal: new AbortController().signal
})
console.log(JSON.stringify({ registered, refused, rss: Math.round(rss / 2 ** 20), seconds: Math.round((performance.now() - began) / 100) / 10 }))
