import type { MappedPort, NetIn, NetOutRule } from '../../types.js'
import { bool, compact, decodeOrRefuse, integer, list, object, text, type Decoder, type Problems } from './fields.js'

/** Mapped ports and the rules of what a container may reach. */

const MAX_PORT = 65_535
const PROTOCOLS = ['all', 'tcp', 'udp', 'icmp', 'icmpv6'] as const

const port = integer(0, MAX_PORT)
const netInFields = object({ host_port: port, container_port: port })

export const netIn: Decoder<NetIn> = (value, path, problems) => {
  const wire = netInFields(value, path, problems)
  return wire === undefined
    ? undefined
    : compact({ hostPort: wire.host_port || undefined, containerPort: wire.container_port || undefined })
}

/** @throws InvalidSpecError */
export function decodeNetIn(json: unknown): NetIn {
  return decodeOrRefuse('port mapping', (value, problems) => netIn(value, '', problems), json)
}
export function netInToWire(ports: NetIn): Record<string, unknown> {
  return compact({ host_port: ports.hostPort, container_port: ports.containerPort })
}

/** @throws InvalidSpecError when a foreign server answers something else */
export function decodeMappedPort(json: unknown): MappedPort {
  const mapped = decodeNetIn(json)
  return { hostPort: mapped.hostPort ?? 0, containerPort: mapped.containerPort ?? 0 }
}

const ADDRESS = /^[0-9A-Fa-f.:]{2,45}$/
const address = text((value) =>
  value === '' || (ADDRESS.test(value) && /[.:]/.test(value)) ? null : `is not an address: ${JSON.stringify(value)}`,
)
const range = object({ start: address, end: address })
const portRange = object({ start: port, end: port })
const protocol: Decoder<NetOutRule['protocol']> = (value, path, problems) => {
  const found = typeof value === 'number' ? PROTOCOLS[value] : undefined
  if (found === undefined) problems.setGardenText(path, `invalid protocol: ${JSON.stringify(value)}`)
  return found
}
const ruleFields = object({
  protocol,
  networks: list(range),
  ports: list(portRange),
  icmps: object({ type: integer(0, 255), code: integer(0, 255) }),
  log: bool,
})

/** One end alone of addresses or ports is that single one. */
export const netOutRule: Decoder<NetOutRule> = (value, path, problems) => {
  const wire = ruleFields(value, path, problems)
  if (wire === undefined) return undefined
  const field = (name: string): string => (path === '' ? name : `${path}.${name}`)
  const kind = wire.protocol ?? 'all'
  if ((wire.ports?.length ?? 0) > 0 && kind !== 'tcp' && kind !== 'udp')
    problems.setGardenText(field('ports'), `Ports cannot be specified for Protocol ${PROTOCOL_TEXT[kind]}`)
  const networks = wire.networks?.map((one, index) => {
    const start = one.start || one.end
    if (start === undefined || start === '') problems.set(field(`networks[${index}].start`), 'is missing')
    return compact({ start: start ?? '', end: one.start ? one.end || undefined : undefined })
  })
  const ports = wire.ports?.map((one, index) => {
    const start = one.start || one.end || 0
    const end = one.end || undefined
    if (start === 0) problems.set(field(`ports[${index}].start`), 'is missing')
    if (end !== undefined && end < start) problems.set(field(`ports[${index}].end`), 'must not be less than start')
    return compact({ start, end: end === start ? undefined : end })
  })
  return compact({
    protocol: kind,
    networks: networks?.length === 0 ? undefined : networks,
    ports: ports?.length === 0 ? undefined : ports,
    icmp: wire.icmps === undefined ? undefined : compact({ type: wire.icmps.type ?? 0, code: wire.icmps.code }),
    log: wire.log,
  })
}

const PROTOCOL_TEXT = { all: 'ALL', tcp: 'TCP', udp: 'UDP', icmp: 'ICMP', icmpv6: 'ICMPv6' } as const

/** @throws InvalidSpecError; a wrong rule's text is Garden's own, without a prefix */
export function decodeNetOutRule(json: unknown): NetOutRule {
  return decodeOrRefuse('rule', (value, problems) => netOutRule(value, '', problems), json)
}
/** @throws InvalidSpecError */
export function decodeNetOutRules(json: unknown): NetOutRule[] {
  const rules = (value: unknown, problems: Problems): NetOutRule[] | undefined =>
    value === null ? [] : list(netOutRule)(value, 'rules', problems)
  return decodeOrRefuse('rules', rules, json)
}

export function netOutRuleToWire(rule: NetOutRule): Record<string, unknown> {
  return compact({
    protocol: PROTOCOLS.indexOf(rule.protocol),
    networks: rule.networks?.map((one) => ({ start: one.start, end: one.end ?? one.start })),
    ports: rule.ports?.map((one) => ({ start: one.start, end: one.end ?? one.start })),
    icmps: rule.icmp,
    log: rule.log,
  })
}
