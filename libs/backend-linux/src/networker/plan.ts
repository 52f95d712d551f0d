import type { MappedPort, NetOutRule } from '@croft/garden-api'
import type { EgressRule } from '../options.js'
import { addRuleChain, deleteRuleChain, ruleChain } from './net-out.js'
import { endLeadText, leadText } from './port-plan.js'

/** What the rules are made from. Pure: everything here turns values into text for `nft -f` and `ip -batch`. */
export interface HomeNetwork {
  table: string
  linkGroup: number
  gateway: string
  /** Where port 53 of the gateway goes; null: containers have no DNS. */
  resolver: { address: string; port: number; isLocal: boolean } | null
  egress: readonly EgressRule[]
}

export interface ContainerNetwork {
  slot: number
  handle: string
  address: string
  /** Whether it reaches the Internet; otherwise only what the rules allow. */
  isOpen: boolean
  /** Whether it reaches what the platform's egress list names. */
  hasEgress: boolean
  /** What it may reach besides, oldest first. */
  rules: readonly NetOutRule[]
  /** Ports of the host that lead to it. */
  ports: readonly MappedPort[]
}

/** Never reached from a container unless a rule before says so: private, shared, link-local, loopback, multicast, reserved. */
export const PRIVATE_RANGES = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
] as const

/** nft text that adds one container to the table. */
export function addContainerRules(home: HomeNetwork, container: ContainerNetwork): string {
  return [
    ...setsOf(container).map((name) => `add element inet ${home.table} ${name} { ${container.address} }\n`),
    container.rules.length > 0 ? addContainerChain(home, container) : '',
    leadText(home.table, container.address, container.ports),
  ].join('')
}

/** nft text for a container that got more rules than it had; it may be said twice. */
export function changeContainerRules(home: HomeNetwork, container: ContainerNetwork): string {
  return container.rules.length > 0 ? addContainerChain(home, container) : ''
}

/** nft text that takes a container out again. */
export function removeContainerRules(home: HomeNetwork, container: ContainerNetwork): string {
  return [
    endLeadText(home.table, container.ports),
    ...setsOf(container).map((name) => `delete element inet ${home.table} ${name} { ${container.address} }\n`),
    container.rules.length > 0 ? removeContainerChain(home, container) : '',
  ].join('')
}

/** The sets of addresses that it is in. */
function setsOf({ isOpen, hasEgress }: ContainerNetwork): string[] {
  return [...(isOpen ? ['open_to_all'] : []), ...(hasEgress ? ['open_to_egress'] : [])]
}

function addContainerChain(home: HomeNetwork, container: ContainerNetwork): string {
  const element = `add element inet ${home.table} by_rule { ${container.address} : jump ${ruleChain(container.slot)} }\n`
  return addRuleChain(home.table, container) + element
}
function removeContainerChain(home: HomeNetwork, container: ContainerNetwork): string {
  const element = `delete element inet ${home.table} by_rule { ${container.address} }\n`
  return element + deleteRuleChain(home.table, container)
}

function dnsLines(home: HomeNetwork): string[] {
  if (home.resolver === null) return []
  const { address, port } = home.resolver
  return ['udp', 'tcp'].map(
    (protocol) =>
      `iifgroup ${home.linkGroup} ip daddr ${home.gateway} ${protocol} dport 53 dnat ip to ${address}:${port}`,
  )
}

/** What of the answers to DNS questions passes: to a forwarder on this host, or on to a resolver elsewhere. */
function dnsAccept(home: HomeNetwork): string[] {
  if (home.resolver === null) return []
  return [
    `iifgroup ${home.linkGroup} meta l4proto { tcp, udp } ct original ip daddr ${home.gateway} ct original proto-dst 53 ct status dnat accept`,
  ]
}

const indented = (lines: readonly string[]): string => lines.map((line) => `    ${line}\n`).join('')
const chain = (name: string, lines: readonly string[]): string => `  chain ${name} {\n${indented(lines)}  }\n`
const set = (name: string, lines: readonly string[]): string => `  set ${name} {\n${indented(lines)}  }\n`

/** The whole table, replaced in one transaction; `containers` are those that run. */
export function tableText(home: HomeNetwork, containers: readonly ContainerNetwork[]): string {
  const group = home.linkGroup
  const egress = [...new Set(home.egress.map((rule) => `${rule.host} . ${rule.port}`))]
  return [
    `add table inet ${home.table}\ndelete table inet ${home.table}\ntable inet ${home.table} {\n`,
    set('open_to_all', ['type ipv4_addr']),
    set('open_to_egress', ['type ipv4_addr']),
    '  map by_rule {\n    type ipv4_addr : verdict\n  }\n',
    '  map ports_in {\n    type inet_service : ipv4_addr . inet_service\n  }\n',
    set('platform_egress', [
      'type ipv4_addr . inet_service',
      'flags interval',
      ...(egress.length > 0 ? [`elements = { ${egress.join(', ')} }`] : []),
    ]),
    chain('check_source', [
      'type filter hook prerouting priority raw; policy accept;',
      `iifgroup ${group} meta nfproto ipv6 drop`,
      `iifgroup ${group} fib saddr . iif oif missing drop`,
      `iifgroup ${group} ip daddr 127.0.0.0/8 drop`,
    ]),
    /* before a port of the host is led on to another container, so that a rule speaks of what the container asked for */
    chain('ask_host', [
      'type filter hook prerouting priority -101; policy accept;',
      `iifgroup != ${group} accept`,
      'fib daddr type != local accept',
      'ct state established,related accept',
      ...(home.resolver === null ? [] : [`ip daddr ${home.gateway} meta l4proto { tcp, udp } th dport 53 accept`]),
      'ip saddr vmap @by_rule',
      'ip saddr @open_to_all accept',
      'drop',
    ]),
    chain('nat_in', [
      'type nat hook prerouting priority -100; policy accept;',
      ...dnsLines(home),
      'fib daddr type local dnat ip to tcp dport map @ports_in',
    ]),
    chain('nat_from_host', [
      'type nat hook output priority -100; policy accept;',
      'ip daddr != 127.0.0.0/8 fib daddr type local dnat ip to tcp dport map @ports_in',
    ]),
    chain('nat_out', [
      'type nat hook postrouting priority 100; policy accept;',
      `iifgroup ${group} oifgroup != ${group} masquerade`,
      /* what comes back goes through the host too, also to the container that asked for its own port */
      `iifgroup ${group} oifgroup ${group} ct status dnat masquerade`,
    ]),
    chain('to_host', [
      'type filter hook input priority 0; policy accept;',
      `iifgroup ${group} ct state established,related accept`,
      ...(home.resolver?.isLocal === true ? dnsAccept(home) : []),
      `iifgroup ${group} ip saddr @open_to_egress ip daddr . tcp dport @platform_egress accept`,
      `iifgroup ${group} drop`,
    ]),
    chain('pass_on', [
      'type filter hook forward priority 0; policy accept;',
      `iifgroup ${group} oifgroup ${group} ct status dnat accept`,
      `iifgroup ${group} oifgroup ${group} drop`,
      `iifgroup ${group} ct state established,related accept`,
      `oifgroup ${group} ct state established,related accept`,
      `oifgroup ${group} ct status dnat accept`,
      `oifgroup ${group} drop`,
      ...(home.resolver?.isLocal === false ? dnsAccept(home) : []),
      `iifgroup ${group} ip saddr vmap @by_rule`,
      `iifgroup ${group} ip saddr @open_to_egress ip daddr . tcp dport @platform_egress accept`,
      `iifgroup ${group} ip daddr { ${PRIVATE_RANGES.join(', ')} } drop`,
      `iifgroup ${group} ip saddr @open_to_all accept`,
      `iifgroup ${group} drop`,
    ]),
    '}\n',
    ...containers.map((container) => addContainerRules(home, container)),
  ].join('')
}
