import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { ROOT } from './documents.ts'

/** Clause ids of ASVS with their levels, by chapter. */
export type Chapters = Record<string, Record<string, number>>

export interface Row {
  /** the heading that the row is under */
  heading: string
  cells: string[]
}

/** The rows of every table of a document. */
export function rowsOf (text: string): Row[] {
  let heading = ''
  let isBody = false
  const rows: Row[] = []
  for (const line of text.split('\n')) {
    heading = /^#+ (.+)$/.exec(line)?.[1] ?? heading
    if (!line.startsWith('|')) isBody = false
    else if (/^\|(?:---\|)+$/.test(line)) isBody = true
    else if (isBody) rows.push({ heading, cells: line.split('|').slice(1, -1).map(cell => cell.trim()) })
  }
  return rows
}

const TEST = /`test\/[\w./-]+\.test\.ts`/
/** A path of ours in code, also of a file at the root. */
const PATHS = /`((?:src|local|scripts|test|docs|bench|hooks|\.ci|\.github)\/[\w./-]+|template\.yaml|bootstrap\.yaml)`/g

/** `6.2.1 to 6.2.12, 6.4.3` as a list. */
function expanded (clauses: string): string[] {
  return clauses.split(', ').flatMap(part => {
    const [, section, first, last] = /^(\d+\.\d+)\.(\d+) to \1\.(\d+)$/.exec(part) ?? []
    if (section === undefined) return [part]
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => `${section}.${Number(first) + i}`)
  })
}

const NOT_MET = 'Not met, or in part'
const NOT_APPLICABLE = 'Does not apply'
/** Tables whose last or last but one column names tests. */
const CONTROLS = ['Threats', 'OWASP API Security Top 10, 2023', 'RFC 8725, best practices for JWTs', 'RFC 9700, OAuth 2.0 security']
/** Says why there is no test. */
const REASON = /^no test: \S.{10,}/

/** What is wrong with the page, one line each; and what was looked at. */
export function securityFaults (text: string, chapters: Chapters, exists = (path: string) => existsSync(resolve(ROOT, path))) {
  const levels = Object.assign({}, ...Object.values(chapters)) as Record<string, number>
  const rows = rowsOf(text)
  const faults: string[] = []
  const seen = new Map<string, 'met' | 'in part' | 'not met' | 'not applicable'>()

  for (const [, path = ''] of text.matchAll(PATHS)) if (!exists(path)) faults.push(`${path} does not exist`)

  function see (clause: string, state: 'met' | 'in part' | 'not met' | 'not applicable') {
    if (!(clause in levels)) faults.push(`${clause} is no clause of these chapters`)
    else if (seen.has(clause)) faults.push(`${clause} is there twice`)
    seen.set(clause, state)
  }
  function clauseOf (cell: string): string {
    const [, clause = cell, level] = /^([\d.]+) · L(\d)$/.exec(cell) ?? []
    if (clause in levels && Number(level) !== levels[clause]) faults.push(`${clause} is of level ${levels[clause]}`)
    return clause
  }

  let controls = 0
  for (const { heading, cells } of rows) {
    const name = `${heading}: ${cells[0]}`
    if (heading in chapters) {
      const clause = clauseOf(cells[0]!)
      if (cells.length !== 5) faults.push(`${name}: ${cells.length} columns`)
      if (clause in levels && !(clause in chapters[heading]!)) faults.push(`${clause} is no clause of ${heading}`)
      if (!TEST.test(cells[3]!) && !REASON.test(cells[3]!)) faults.push(`${name} has neither a test nor a reason`)
      see(clause, 'met')
    } else if (heading === NOT_MET) {
      const [clause = '', , state = '', reason = '', instead = ''] = cells
      if (cells.length !== 5) faults.push(`${name}: ${cells.length} columns`)
      if (reason.length < 20 && !/^as \d/.test(reason)) faults.push(`${name} has no reason`)
      if (!TEST.test(instead) && !REASON.test(instead)) faults.push(`${name} names no test of what holds instead`)
      if (state !== 'in part' && state !== 'not met') faults.push(`${name} is ${state}`)
      else see(clauseOf(clause), state)
    } else if (heading === NOT_APPLICABLE) {
      if ((cells[1] ?? '').length < 10) faults.push(`${name} has no reason`)
      for (const clause of expanded(cells[0]!)) see(clause, 'not applicable')
    } else if (CONTROLS.includes(heading)) {
      controls++
      const tests = cells[2] ?? ''
      if (!TEST.test(tests) && !REASON.test(tests)) faults.push(`${name} has neither a test nor a reason`)
    }
  }
  for (const clause of Object.keys(levels)) if (!seen.has(clause)) faults.push(`${clause} is in no table`)

  const count = (state: string) => [...seen.values()].filter(other => other === state).length
  const [met, part, not, all] = [count('met'), count('in part'), count('not met'), seen.size]
  const partly = [...seen].filter(([clause, state]) => levels[clause] === 1 && state === 'in part').map(([clause]) => clause)
  const weak = [...seen].filter(([clause, state]) => levels[clause] === 1 && state === 'not met').map(([clause]) => clause)
  if (weak.length > 0) faults.push(`the summary knows no clause of level 1 that is not met: ${weak.join(', ')}`)
  const summary = `Of ${all} clauses, ${met + part + not} apply: ${met} are met, ${part} in part, ${not} are not. Of those of level 1 that apply, ${partly.length} are met in part: ${partly.slice(0, -1).join(', ')} and ${partly.at(-1)}.`
  if (!text.includes(summary)) faults.push(`the summary is not: ${summary}`)
  return { faults, looked: { clauses: seen.size, controls } }
}
