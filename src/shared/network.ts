import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'

/** The network of every client address that is not an IP address. */
const UNKNOWN = 'unknown'

/** An address without the port that some proxies add, and without brackets and zone. */
export function addressOf (text: string): string {
  const address = text.trim()
  const [, bracketed, v4] = /^(?:\[([^\]]+)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(address) ?? []
  return (bracketed ?? v4 ?? address).split('%', 1)[0]!
}

/** The eight groups of an IPv6 address as numbers. */
function groupsOf (address: string): number[] {
  // The last 32 bits may be written as an IPv4 address.
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a, b, c, d] = bytes.map(Number) as [number, number, number, number]
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const parse = (part: string | undefined) => part === undefined || part === '' ? [] : part.split(':').map(group => parseInt(group, 16))
  const [before, after] = hex.split('::', 2)
  const [head, tail] = [parse(before), parse(after)]
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

/**
 * The network by which a client is counted: the whole IPv4 address (also when it is written as IPv6), or the first
 * `ipv6Bits` bits of an IPv6 address, because its owner can change the rest freely. Anything else is the network
 * `unknown`.
 */
export function networkOf (address: string, ipv6Bits = 64): string {
  if (isIPv4(address)) return address
  const plain = addressOf(address)
  if (isIPv4(plain)) return plain
  if (!isIPv6(plain)) return UNKNOWN
  const groups = groupsOf(plain)
  if (groups.slice(0, 6).every((group, i) => group === (i === 5 ? 0xffff : 0))) {
    const [high, low] = [groups[6]!, groups[7]!]
    return [high >> 8, high & 255, low >> 8, low & 255].join('.')
  }
  const kept = groups.slice(0, Math.ceil(ipv6Bits / 16)).map((group, i) => {
    const bits = Math.min(16, ipv6Bits - i * 16)
    return (group & (0xffff << (16 - bits)) & 0xffff).toString(16)
  })
  return `${kept.join(':')}${kept.length < 8 ? '::' : ''}/${ipv6Bits}`
}

/** Makes a function for Fastify's `trustProxy`: whether an address is in a list of addresses and CIDR ranges. */
export function createProxyTrust (ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/')
    const type = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, type)
    else list.addSubnet(address, Number(prefix), type)
  }
  return address => {
    const plain = networkOf(address, 128).replace('/128', '')
    const version = isIP(plain)
    return version !== 0 && list.check(plain, version === 6 ? 'ipv6' : 'ipv4')
  }
}
