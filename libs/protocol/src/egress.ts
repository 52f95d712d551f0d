/** Where builds are let through to although it may lie in a private range; `host` is a name, an IPv4 address or a block of them. */
export interface EgressTarget {
  host: string
  port: number
}

const NAME = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
const MAX_PORT = 65_535

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/

/** Never let through to: a build itself, the metadata services of clouds among what is link-local, and what is no single host's. */
const NEVER = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3']

/** The target in `HOST:PORT`, `ADDRESS:PORT` or `ADDRESS/BITS:PORT`, or why it is none. Pure. */
export function parseEgress(text: string): EgressTarget | string {
  const [, host = '', digits = ''] = /^([^:]+):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (host === '' || port < 1 || port > MAX_PORT) return 'is no target: write it as HOST:PORT'
  const [address = '', bits, ...more] = host.split('/')
  if (IPV4.test(address)) {
    const isBlock = bits !== undefined
    const isRight = !isBlock || (more.length === 0 && /^\d{1,2}$/.test(bits) && Number(bits) <= 32)
    if (!isRight) return 'names no block of addresses'
    const closed = NEVER.find((range) => overlap(numbersOf(host), numbersOf(range)))
    return closed === undefined ? { host, port } : `names addresses of ${closed}, which no build may reach`
  }
  if (bits !== undefined || !NAME.test(address)) return 'is no target: write it as HOST:PORT'
  return /(^|\.)localhost$/i.test(host)
    ? 'names a build itself, for that is what localhost means there'
    : { host, port }
}

/** The first and the last address of an address or a block. Pure. */
export function spanOf(host: string): { start: string; end: string } {
  const [first, last] = numbersOf(host)
  return { start: written(first), end: written(last) }
}

type Span = readonly [first: number, last: number]

function numbersOf(host: string): Span {
  const [address = '', bits = '32'] = host.split('/')
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const size = 2 ** (32 - Number(bits))
  const first = number - (number % size)
  return [first, first + size - 1]
}

function overlap([first, last]: Span, [otherFirst, otherLast]: Span): boolean {
  return first <= otherLast && otherFirst <= last
}

function written(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
}
