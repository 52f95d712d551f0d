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

/** The range a CIDR block names, or null; host bits must be zero. */
export function parseNetwork(text: string): Network | null {
  const [address, prefixText, ...rest] = text.split('/')
  const base = parseAddress(address ?? '')
  const prefix = Number(prefixText)
  if (base === null || rest.length > 0 || !/^\d{1,2}$/.test(prefixText ?? '') || prefix > 32) return null
  const size = 2 ** (32 - prefix)
  return base % size === 0 ? { base, prefix, size } : null
}

export function isInside(network: Network, address: number): boolean {
  return address >= network.base && address < network.base + network.size
}

/** The host's end of every veth pair: the first usable address. */
export function gatewayOf(network: Network): string {
  return formatAddress(network.base + 1)
}
