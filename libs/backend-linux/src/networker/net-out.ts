import type { NetOutRule } from '@croft/garden-api'
import { formatAddress, parseAddress } from './address.js'

/** Rules of what a container may reach, as nft text. Pure. */

/** Ranges of addresses and ports one container may have in all its rules; more would slow down each new connection of it. */
export const MAX_NET_OUT_RANGES = 4096
/** A tenant writes into the kernel's log no faster than this, by each rule. */
const LOG_RATE = '100/second burst 100 packets'
/** nft takes 127 characters. */
const MAX_LOG_HANDLE = 100

interface Span {
  start: number
  end: number
}

const isByte = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < 256
const isPort = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < 65_536

function networkProblem(range: { start: string; end?: string }): string | null {
  const ends = [range.start, range.end ?? range.start]
  if (ends.some((end) => end.includes(':'))) return `IPv6 is off in containers: ${ends.join('-')} cannot be allowed`
  const [start, end] = ends.map(parseAddress)
  const isRange = typeof start === 'number' && typeof end === 'number' && start <= end
  return isRange ? null : `not an IPv4 range: ${ends.join('-')}`
}

function ruleProblem(rule: NetOutRule): string | null {
  if (rule.protocol === 'icmpv6') return 'IPv6 is off in containers: the protocol icmpv6 cannot be allowed'
  if (!['all', 'tcp', 'udp', 'icmp'].includes(rule.protocol)) return `invalid protocol: ${rule.protocol}`
  const hasPorts = (rule.ports?.length ?? 0) > 0
  if (hasPorts && (rule.protocol === 'icmp' || rule.protocol === 'all'))
    return `Ports cannot be specified for Protocol ${rule.protocol.toUpperCase()}`
  for (const port of rule.ports ?? []) {
    const end = port.end ?? port.start
    if (!isPort(port.start) || !isPort(end) || end < port.start) return `not a port range: ${port.start}-${end}`
  }
  if (rule.icmp !== undefined) {
    if (rule.protocol !== 'icmp') return `an ICMP type cannot be specified for Protocol ${rule.protocol.toUpperCase()}`
    if (!isByte(rule.icmp.type) || !isByte(rule.icmp.code ?? 0)) return 'not an ICMP type and code'
  }
  return (rule.networks ?? []).map(networkProblem).find((problem) => problem !== null) ?? null
}

/** What is wrong with all the rules of a container; null when nothing is. */
export function netOutProblem(rules: readonly NetOutRule[]): string | null {
  const size = rules.reduce((sum, rule) => sum + 1 + (rule.networks?.length ?? 0) + (rule.ports?.length ?? 0), 0)
  if (size > MAX_NET_OUT_RANGES) return `more than ${MAX_NET_OUT_RANGES} ranges in the netOut rules of one container`
  return rules.map(ruleProblem).find((problem) => problem !== null) ?? null
}

/** Joins what overlaps or touches. */
function merged(spans: readonly Span[]): Span[] {
  const joined: Span[] = []
  for (const span of spans.toSorted((one, other) => one.start - other.start)) {
    const last = joined.at(-1)
    if (last !== undefined && span.start <= last.end + 1) last.end = Math.max(last.end, span.end)
    else joined.push({ ...span })
  }
  return joined
}

function addressMatches(rule: NetOutRule): string[] {
  const spans = (rule.networks ?? []).map(({ start, end }) => ({
    start: parseAddress(start) ?? 0,
    end: parseAddress(end ?? start) ?? 0,
  }))
  return merged(spans).map(({ start, end }) =>
    start === end ? `ip daddr ${formatAddress(start)}` : `ip daddr ${formatAddress(start)}-${formatAddress(end)}`,
  )
}

function protocolMatches(rule: NetOutRule): string[] {
  switch (rule.protocol) {
    case 'icmp': {
      if (rule.icmp === undefined) return ['meta l4proto icmp']
      const { type, code } = rule.icmp
      return [`icmp type ${type}${code === undefined ? '' : ` icmp code ${code}`}`]
    }
    case 'tcp':
    case 'udp': {
      const ports = merged((rule.ports ?? []).map(({ start, end }) => ({ start, end: end ?? start })))
      if (ports.length === 0) return [`meta l4proto ${rule.protocol}`]
      return ports.map(({ start, end }) => `${rule.protocol} dport ${start === end ? start : `${start}-${end}`}`)
    }
    default:
      return []
  }
}

/** What one rule becomes: lines of the container's own chain, and of chains of the rule's own below it. */
interface RuleText {
  lines: string[]
  /** The lines of a further chain, which `lines` lead to; null when there is none. */
  below: { chain: string; lines: string[] } | null
}

/**
 * Single matches instead of sets: nft reads every range set of the table again for each change, so that with 500 containers a change
 * would take seconds. Many addresses by many ports are two steps, addresses then ports, so that lines add up and do not multiply.
 */
function textOf(rule: NetOutRule, chain: string, logPrefix: string): RuleText {
  const verdicts = rule.log === true ? [`limit rate ${LOG_RATE} log prefix "${logPrefix}"`, 'accept'] : ['accept']
  const finish = (match: string): string[] => verdicts.map((verdict) => `${match} ${verdict}`.trim())
  const addresses = addressMatches(rule)
  const protocols = protocolMatches(rule)
  if (addresses.length > 1 && protocols.length > 1) {
    const lines = protocols.flatMap(finish)
    return { lines: addresses.map((match) => `${match} jump ${chain}`), below: { chain, lines } }
  }
  if (addresses.length === 0) addresses.push('')
  if (protocols.length === 0) protocols.push('')
  const lines = addresses.flatMap((address) => protocols.flatMap((one) => finish(`${address} ${one}`.trim())))
  return { lines, below: null }
}

/** The chain of a container's rules. */
export const ruleChain = (slot: number): string => `out_${slot}`
const belowChain = (slot: number, index: number): string => `out_${slot}_${index}`

/** What a line of the kernel's log begins with when a rule of this container says `log`. */
export const logPrefixOf = (handle: string): string => `croft ${handle.slice(0, MAX_LOG_HANDLE)} `

/** nft text that makes the chain of a container with all its rules: the newest first, as they are tried. */
export function addRuleChain(
  table: string,
  container: { slot: number; handle: string; rules: readonly NetOutRule[] },
): string {
  const own = ruleChain(container.slot)
  const texts = container.rules
    .map((rule, index) => textOf(rule, belowChain(container.slot, index), logPrefixOf(container.handle)))
    .toReversed()
  const chains = texts.flatMap(({ below }) => (below === null ? [] : [below]))
  return [
    ...[own, ...chains.map(({ chain }) => chain)].flatMap((chain) => [
      `add chain inet ${table} ${chain}`,
      `flush chain inet ${table} ${chain}`,
    ]),
    ...chains.flatMap(({ chain, lines }) => lines.map((line) => `add rule inet ${table} ${chain} ${line}`)),
    ...texts.flatMap(({ lines }) => lines.map((line) => `add rule inet ${table} ${own} ${line}`)),
    '',
  ].join('\n')
}

/** nft text that deletes it. */
export function deleteRuleChain(table: string, container: { slot: number; rules: readonly NetOutRule[] }): string {
  const below = container.rules.flatMap((rule, index) => {
    const chain = belowChain(container.slot, index)
    return textOf(rule, chain, '').below === null ? [] : [chain]
  })
  const all = [ruleChain(container.slot), ...below]
  return [
    ...all.map((chain) => `flush chain inet ${table} ${chain}`),
    ...all.map((chain) => `delete chain inet ${table} ${chain}`),
    '',
  ].join('\n')
}
