import type { Table } from './bench.ts'

const WIDTH = 760
const LABELS = 270
const ROW = 26
const TOP = 44

const escape = (text: string) => text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
const place = (value: number) => value.toFixed(1)

/** A round step that divides an axis into about five parts. */
function stepOf (maximum: number): number {
  const power = 10 ** Math.floor(Math.log10(maximum / 5))
  return power * [1, 2, 5, 10].find(factor => factor * power >= maximum / 5)!
}

/** The ratios of a table as bars, with the spread of the rounds as a line, in colors for a light and a dark page. */
export function drawTable ({ title, rows, better, hasPeers = true }: Table): string {
  const bars = rows.flatMap(({ name, values: { ratio, low = ratio, high = ratio } }) => ratio === undefined ? [] : [{ name, ratio, low: low!, high: high! }])
  const maximum = Math.max(1, ...bars.map(({ high }) => high)) * 1.02
  const step = stepOf(maximum)
  const height = TOP + bars.length * ROW + 28
  const x = (value: number) => LABELS + value / maximum * (WIDTH - LABELS - 60)
  const lines: string[] = []
  for (let tick = 0; tick <= maximum; tick += step) {
    lines.push(`<line class="grid" x1="${place(x(tick))}" x2="${place(x(tick))}" y1="${TOP - 6}" y2="${height - 22}"/>`)
    lines.push(`<text x="${place(x(tick))}" y="${height - 8}" text-anchor="middle">${Number(tick.toPrecision(3))}</text>`)
  }
  bars.forEach(({ name, ratio, low, high }, index) => {
    const y = TOP + index * ROW
    const isOurs = !hasPeers || name.startsWith('this service')
    lines.push(
      `<text x="${LABELS - 8}" y="${y + 14}" text-anchor="end">${escape(name)}</text>`,
      `<rect class="${isOurs ? 'ours' : 'peer'}" x="${LABELS}" y="${y + 2}" width="${place(x(ratio) - LABELS)}" height="${ROW - 9}"/>`,
      `<line class="spread" x1="${place(x(low))}" x2="${place(x(high))}" y1="${y + 10.5}" y2="${y + 10.5}"/>`,
      `<text x="${place(x(Math.max(ratio, high)) + 6)}" y="${y + 14}">${ratio.toFixed(2)}</text>`
    )
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, sans-serif" font-size="12">
<title>${escape(title)}</title>
<style>
text { fill: #24292f } .grid { stroke: #d0d7de } .peer { fill: #8c959f } .ours { fill: #0969da } .spread { stroke: #24292f; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #30363d } .peer { fill: #6e7681 } .ours { fill: #58a6ff } .spread { stroke: #e6edf3 } }
</style>
<text x="8" y="20" font-size="14" font-weight="bold">${escape(title)}</text>
<text x="${WIDTH - 8}" y="20" text-anchor="end">${better === 'higher' ? 'more is better' : 'less is better'}</text>
${lines.join('\n')}
</svg>
`
}
