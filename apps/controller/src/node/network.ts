/** IPv4 ranges: which /20 a node gets. Pure. */

export interface Range {
  /** First address as a number. */
  first: number
  last: number
}

/** Prefix length of a node's range: 4,094 addresses. */
const NODE_PREFIX = 20
const NODE_SIZE = 2 ** (32 - NODE_PREFIX)

/** `10.192.0.0/12`, or an address alone as a /32; null for what is no IPv4 range (an IPv6 route clashes with nothing of ours). */
export function parseRange(text: string): Range | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text.trim())
  if (match === null) return null
  const octets = match.slice(1, 5).map(Number)
  const prefix = match[5] === undefined ? 32 : Number(match[5])
  if (octets.some((octet) => octet > 255) || prefix > 32) return null
  const address = octets.reduce((sum, octet) => sum * 256 + octet, 0)
  const size = 2 ** (32 - prefix)
  const first = Math.floor(address / size) * size
  return { first, last: first + size - 1 }
}

export function overlaps(a: Range, b: Range): boolean {
  return a.first <= b.last && b.first <= a.last
}

/**
 * The first free /20 of the platform's network, or null. `offset` is where the search begins, so that two platforms on one host take
 * different ones even before they have routes.
 */
export function pickNetwork(platform: string, taken: readonly string[], offset: number): string | null {
  const whole = parseRange(platform)
  if (whole === null) return null
  const count = Math.floor((whole.last - whole.first + 1) / NODE_SIZE)
  const occupied = occupiedRanges(taken)
  for (let index = 0; index < count; index += 1) {
    const first = whole.first + ((index + offset) % count) * NODE_SIZE
    const candidate = { first, last: first + NODE_SIZE - 1 }
    if (!occupied.some((range) => overlaps(range, candidate))) return `${format(first)}/${NODE_PREFIX}`
  }
  return null
}

/** Whether a node's range overlaps with what its host routes. */
export function isTaken(network: string, taken: readonly string[]): boolean {
  const own = parseRange(network)
  return own === null || occupiedRanges(taken).some((range) => overlaps(range, own))
}

/** A default route takes nothing away. */
function occupiedRanges(taken: readonly string[]): Range[] {
  return taken.flatMap((text) => parseRange(text) ?? []).filter((range) => range.last - range.first < 2 ** 32 - 1)
}

function format(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}
