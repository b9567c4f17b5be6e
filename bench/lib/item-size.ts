import type { AttributeValue } from '@aws-sdk/client-dynamodb'

// What DynamoDB counts, as documented:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html

const bytes = (text: string) => Buffer.byteLength(text)
const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)

/** One byte for two significant digits, and one more; another one for a minus. */
function numberSize (text: string): number {
  const digits = text.replace(/[-.]/g, '').replace(/^0+|0+$/g, '').length
  return Math.ceil(digits / 2) + 1 + (text.startsWith('-') ? 1 : 0)
}

function valueSize (value: AttributeValue): number {
  if (value.S !== undefined) return bytes(value.S)
  if (value.N !== undefined) return numberSize(value.N)
  if (value.B !== undefined) return value.B.length
  if (value.SS !== undefined) return sum(value.SS.map(bytes))
  if (value.NS !== undefined) return sum(value.NS.map(numberSize))
  if (value.BS !== undefined) return sum(value.BS.map(({ length }) => length))
  // Lists and maps: three bytes, and one for each element.
  if (value.L !== undefined) return 3 + sum(value.L.map(element => 1 + valueSize(element)))
  if (value.M !== undefined) return 3 + sum(Object.entries(value.M).map(([name, element]) => 1 + bytes(name) + valueSize(element)))
  return 1 // true, false, null
}

/** The size of an item in bytes. */
export const itemSize = (item: Record<string, AttributeValue>): number => sum(Object.entries(item).map(([name, value]) => bytes(name) + valueSize(value)))

/** Units of one write of an item, or of one that a condition refused: one for each KB, one at least. */
export const writeUnits = (item: Record<string, AttributeValue> | undefined): number => Math.max(1, Math.ceil((item === undefined ? 0 : itemSize(item)) / 1024))
