/** IPv4 arithmetic. */

/** A range of addresses: `base/prefix`, as numbers. */
export interface Network {
  base: number
  prefix: number
  size: number
}

/** The address as a number, or null when it is none. */
export function parseAddress(text: string): number | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  let value = 0
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return null
    value = value * 256 + Number(part)
  }
  return value
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

export function formatNetwork(network: Network): string {
  return `${formatAddress(network.base)}/${network.prefix}`
}

/** The range a CIDR block names, or null; host bits must be zero. */
export function parseNetwork(text: string): Network | null {
  const block = text.includes('/') ? parseBlock(text) : null
  return block !== null && block.address === block.network.base ? block.network : null
}

/** An address and the range it lies in, of `a.b.c.d/n`, or of `a.b.c.d` which is a range of its own; null when it is neither. */
export function parseBlock(text: string): { address: number; network: Network } | null {
  const [addressText, prefixText = '32', ...rest] = text.split('/')
  const address = parseAddress(addressText ?? '')
  const prefix = Number(prefixText)
  if (address === null || rest.length > 0 || !/^\d{1,2}$/.test(prefixText) || prefix > 32) return null
  const size = 2 ** (32 - prefix)
  return { address, network: { base: address - (address % size), prefix, size } }
}

export function isInside(network: Network, address: number): boolean {
  return address >= network.base && address < network.base + network.size
}

export function overlaps(one: Network, other: Network): boolean {
  return isInside(one, other.base) || isInside(other, one.base)
}

/** The host's end of every veth pair: the first usable address. */
export function gatewayOf(network: Network): string {
  return formatAddress(network.base + 1)
}
