import type { IpRange, NetOutRule } from '@croft/garden-api'
import type { EgressRule } from '../options.js'

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
  address: string
  /** undefined: the Internet; otherwise only what the rules allow. */
  netOut: readonly NetOutRule[] | undefined
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

const ruleChain = (slot: number): string => `out_${slot}`

function rangeText(range: IpRange): string {
  return range.end === undefined || range.end === range.start ? range.start : `${range.start}-${range.end}`
}

/** The matches of one rule, without the verdict. */
function matchesOf(rule: NetOutRule): string[] {
  const matches: string[] = []
  if (rule.networks !== undefined && rule.networks.length > 0) {
    matches.push(`ip daddr { ${rule.networks.map(rangeText).join(', ')} }`)
  }
  const ports = (rule.ports ?? []).map((p) =>
    p.end === undefined || p.end === p.start ? `${p.start}` : `${p.start}-${p.end}`,
  )
  if (rule.protocol === 'tcp' || rule.protocol === 'udp') {
    matches.push(ports.length > 0 ? `${rule.protocol} dport { ${ports.join(', ')} }` : `meta l4proto ${rule.protocol}`)
  } else if (rule.protocol === 'icmp') {
    matches.push('meta l4proto icmp')
    if (rule.icmp !== undefined) {
      matches.push(`icmp type ${rule.icmp.type}`)
      if (rule.icmp.code !== undefined) matches.push(`icmp code ${rule.icmp.code}`)
    }
  }
  return matches
}

function ruleLines(container: ContainerNetwork, rules: readonly NetOutRule[]): string[] {
  return rules.map((rule) => {
    const log = rule.log === true ? [`log prefix "croft-out-${container.slot} "`] : []
    return [...matchesOf(rule), ...log, 'accept'].join(' ')
  })
}

/** nft text that adds one container to the table. */
export function addContainerRules(home: HomeNetwork, container: ContainerNetwork): string {
  const table = `inet ${home.table}`
  if (container.netOut === undefined) return `add element ${table} open_to_all { ${container.address} }\n`
  const own = ruleChain(container.slot)
  return [
    `add chain ${table} ${own}`,
    `flush chain ${table} ${own}`,
    ...ruleLines(container, container.netOut).map((line) => `add rule ${table} ${own} ${line}`),
    `add element ${table} by_rule { ${container.address} : jump ${own} }`,
    '',
  ].join('\n')
}

/** nft text that takes it out again. */
export function removeContainerRules(home: HomeNetwork, container: ContainerNetwork): string {
  const table = `inet ${home.table}`
  if (container.netOut === undefined) return `delete element ${table} open_to_all { ${container.address} }\n`
  const own = ruleChain(container.slot)
  return `delete element ${table} by_rule { ${container.address} : jump ${own} }\nflush chain ${table} ${own}\ndelete chain ${table} ${own}\n`
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
    '  map by_rule {\n    type ipv4_addr : verdict\n  }\n',
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
    chain('nat_in', ['type nat hook prerouting priority -100; policy accept;', ...dnsLines(home)]),
    chain('nat_out', [
      'type nat hook postrouting priority 100; policy accept;',
      `iifgroup ${group} oifgroup != ${group} masquerade`,
    ]),
    chain('to_host', [
      'type filter hook input priority 0; policy accept;',
      `iifgroup ${group} ct state established,related accept`,
      ...(home.resolver?.isLocal === true ? dnsAccept(home) : []),
      `iifgroup ${group} ip saddr @open_to_all ip daddr . tcp dport @platform_egress accept`,
      `iifgroup ${group} drop`,
    ]),
    chain('pass_on', [
      'type filter hook forward priority 0; policy accept;',
      `iifgroup ${group} oifgroup ${group} drop`,
      `iifgroup ${group} ct state established,related accept`,
      `oifgroup ${group} ct state established,related accept`,
      `oifgroup ${group} drop`,
      ...(home.resolver?.isLocal === false ? dnsAccept(home) : []),
      `iifgroup ${group} ip saddr vmap @by_rule`,
      `iifgroup ${group} ip saddr @open_to_all ip daddr . tcp dport @platform_egress accept`,
      `iifgroup ${group} ip daddr { ${PRIVATE_RANGES.join(', ')} } drop`,
      `iifgroup ${group} ip saddr @open_to_all accept`,
      `iifgroup ${group} drop`,
    ]),
    '}\n',
    ...containers.map((container) => addContainerRules(home, container)),
  ].join('')
}

/** `ip -batch` lines on the host: the pair, one end put straight into the container's network namespace. */
export function hostLinkLines(home: HomeNetwork, link: string, address: string, initPid: number): string {
  return [
    `link add name ${link} group ${home.linkGroup} type veth peer name eth0 netns ${initPid}`,
    `address add ${home.gateway}/32 dev ${link}`,
    `link set dev ${link} up`,
    `route add ${address}/32 dev ${link} src ${home.gateway}`,
    '',
  ].join('\n')
}

/** `ip -batch` lines inside the container's network namespace. */
export function containerLinkLines(home: HomeNetwork, address: string): string {
  return [
    'link set dev lo up',
    `address add ${address}/32 dev eth0`,
    'link set dev eth0 up',
    `route add ${home.gateway}/32 dev eth0 scope link`,
    `route add default via ${home.gateway} dev eth0`,
    '',
  ].join('\n')
}
