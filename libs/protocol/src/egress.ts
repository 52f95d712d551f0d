/** Where builds are let through to although it may lie in a private range; `host` is a name, an IPv4 address or a block of them. */
export interface EgressTarget {
  host: string
  port: number
}

const NAME = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
const MAX_PORT = 65_535

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/

/** The target in `HOST:PORT`, `ADDRESS:PORT` or `ADDRESS/BITS:PORT`, or why it is none. Pure. */
export function parseEgress(text: string): EgressTarget | string {
  const [, host = '', digits = ''] = /^([^:]+):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (host === '' || port < 1 || port > MAX_PORT) return 'is no target: write it as HOST:PORT'
  const [address = '', bits, ...more] = host.split('/')
  const isBlock = bits !== undefined
  if (IPV4.test(address)) {
    if (isBlock && (more.length > 0 || !/^\d{1,2}$/.test(bits) || Number(bits) > 32))
      return 'names no block of addresses'
    return /^(0|127)\./.test(address)
      ? 'names a build itself, for that is what such an address means there'
      : { host, port }
  }
  if (isBlock || !NAME.test(address)) return 'is no target: write it as HOST:PORT'
  return /(^|\.)localhost$/i.test(host)
    ? 'names a build itself, for that is what localhost means there'
    : { host, port }
}

/** The first and the last address of an address or a block. Pure. */
export function spanOf(host: string): { start: string; end: string } {
  const [address = '', bits = '32'] = host.split('/')
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const size = 2 ** (32 - Number(bits))
  const first = number - (number % size)
  const written = (value: number): string =>
    [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
  return { start: written(first), end: written(first + size - 1) }
}
