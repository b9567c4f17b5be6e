import { reasonFor } from './scripts/mutants/explained.ts'
import { readFileSync } from 'node:fs'
const r=JSON.parse(readFileSync(process.argv[2]??'docs/testing/mutants.json'));let n=0;const c={};for(const f in r)for(const l of r[f].left)if(!reasonFor({file:f,...l})){n++;c[f]=(c[f]??0)+1;if(process.argv[3]!=='-c')console.log(f+":"+l.line,l.status[0],l.code.slice(0,110)," → ",l.replacement.slice(0,100))}
if(process.argv[3]==='-c')console.log(c); console.log(n)
