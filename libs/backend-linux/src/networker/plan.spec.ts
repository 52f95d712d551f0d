import { describe, expect, it } from 'vitest'
import { hostLinkLines } from './link-plan.js'
import {
  addContainerRules,
  changeContainerRules,
  removeContainerRules,
  tableText,
  type ContainerNetwork,
  type HomeNetwork,
} from './plan.js'

const home: HomeNetwork = {
  table: 'croft_7',
  linkGroup: 49_399,
  gateway: '10.192.0.1',
  resolver: { address: '10.0.0.53', port: 53, isLocal: false },
  egress: [
    { host: '10.1.2.3', port: 3128 },
    { host: '10.8.0.0/16', port: 443 },
    { host: '10.1.2.3', port: 3128 },
  ],
}

/** The lines of one chain, trimmed. */
function chain(text: string, name: string): string[] {
  const body = new RegExp(`chain ${name} \\{\\n([^}]*(?:\\{[^}]*\\}[^}]*)*)\\n  \\}`).exec(text)?.[1] ?? ''
  return body.split('\n').map((line) => line.trim())
}

describe('the table of a home', () => {
  const text = tableText(home, [
    { slot: 1, handle: 'one', address: '10.192.0.2', isOpen: true, hasEgress: true, rules: [], ports: [] },
  ])

  it('replaces the one before in one transaction', () => {
    expect(text.startsWith('add table inet croft_7\ndelete table inet croft_7\ntable inet croft_7 {\n')).toBe(true)
    for (const name of ['open_to_all', 'open_to_egress'])
      expect(text).toContain(`add element inet croft_7 ${name} { 10.192.0.2 }`)
  })

  it('decides about forwarded packets in this order: mapped ports, neighbours, answers, DNS, own rules, platform egress, private ranges, Internet, nothing', () => {
    const rules = chain(text, 'pass_on').slice(1)
    const position = (part: string): number => rules.findIndex((rule) => rule.includes(part))
    const order = [
      'oifgroup 49399 ct status dnat accept',
      'iifgroup 49399 oifgroup 49399 drop',
      'established',
      'proto-dst 53',
      '@by_rule',
      '@platform_egress',
      '169.254.0.0/16',
      '@open_to_all accept',
    ]
    const positions = order.map(position)
    expect(positions.every((at) => at >= 0)).toBe(true)
    expect([...positions].toSorted((a, b) => a - b)).toEqual(positions)
    expect(rules.at(-1)).toBe('iifgroup 49399 drop')
  })

  it('lets nothing of a container to the host but answers, DNS on the gateway when it is served here, and platform egress', () => {
    expect(chain(text, 'to_host').slice(1)).toEqual([
      'iifgroup 49399 ct state established,related accept',
      'iifgroup 49399 ip saddr @open_to_egress ip daddr . tcp dport @platform_egress accept',
      'iifgroup 49399 drop',
    ])
    const local = tableText({ ...home, resolver: { address: '10.192.0.1', port: 4053, isLocal: true } }, [])
    expect(chain(local, 'to_host')[2]).toMatch(/proto-dst 53 ct status dnat accept$/)
    expect(chain(local, 'pass_on').join()).not.toContain('proto-dst 53')
  })

  it('names each egress once, and none when there is none', () => {
    expect(text).toContain('elements = { 10.1.2.3 . 3128, 10.8.0.0/16 . 443 }')
    expect(tableText({ ...home, egress: [] }, [])).not.toContain('elements')
  })

  it('redirects no DNS when the host has no resolver', () => {
    expect(tableText({ ...home, resolver: null }, [])).not.toContain('dport 53')
  })

  it('lets a container ask for a port of the host only what it may reach, whoever answers there', () => {
    expect(chain(text, 'ask_host')).toEqual([
      'type filter hook prerouting priority -101; policy accept;',
      'iifgroup != 49399 accept',
      'fib daddr type != local accept',
      'ct state established,related accept',
      'ip daddr 10.192.0.1 meta l4proto { tcp, udp } th dport 53 accept',
      'ip saddr vmap @by_rule',
      'ip saddr @open_to_all accept',
      'drop',
    ])
  })

  it("leads ports of the host to containers from everywhere but the host's loopback", () => {
    const lead = 'fib daddr type local dnat ip to tcp dport map @ports_in'
    expect(chain(text, 'nat_in').at(-1)).toBe(lead)
    expect(chain(text, 'nat_from_host').slice(1)).toEqual([`ip daddr != 127.0.0.0/8 ${lead}`])
  })
})

describe('the rules of one container', () => {
  const container: ContainerNetwork = {
    slot: 4,
    handle: 'four',
    address: '10.192.0.5',
    isOpen: true,
    hasEgress: false,
    rules: [],
    ports: [],
  }

  it('open it to the Internet when its spec has none', () => {
    expect(addContainerRules(home, container)).toBe('add element inet croft_7 open_to_all { 10.192.0.5 }\n')
    expect(removeContainerRules(home, container)).toBe('delete element inet croft_7 open_to_all { 10.192.0.5 }\n')
  })

  it('open it to what the platform lets through, if it is one of those', () => {
    expect(addContainerRules(home, { ...container, isOpen: false, hasEgress: true })).toBe(
      'add element inet croft_7 open_to_egress { 10.192.0.5 }\n',
    )
    expect(removeContainerRules(home, { ...container, hasEgress: true })).toBe(
      'delete element inet croft_7 open_to_all { 10.192.0.5 }\ndelete element inet croft_7 open_to_egress { 10.192.0.5 }\n',
    )
  })

  it('allow nothing when its spec has an empty list', () => {
    expect(addContainerRules(home, { ...container, isOpen: false })).toBe('')
  })

  it('are a chain of its own, reached by its address and gone with it', () => {
    const ruled = { ...container, isOpen: false, rules: [{ protocol: 'tcp' as const }] }
    expect(addContainerRules(home, ruled)).toBe(
      'add chain inet croft_7 out_4\nflush chain inet croft_7 out_4\nadd rule inet croft_7 out_4 meta l4proto tcp accept\nadd element inet croft_7 by_rule { 10.192.0.5 : jump out_4 }\n',
    )
    expect(removeContainerRules(home, ruled)).toBe(
      'delete element inet croft_7 by_rule { 10.192.0.5 }\nflush chain inet croft_7 out_4\ndelete chain inet croft_7 out_4\n',
    )
    expect(changeContainerRules(home, ruled)).toBe(addContainerRules(home, ruled))
  })

  it('lead ports of the host to it', () => {
    const ports = [
      { hostPort: 61_001, containerPort: 80 },
      { hostPort: 8080, containerPort: 8080 },
    ]
    expect(addContainerRules(home, { ...container, isOpen: false, ports })).toBe(
      'add element inet croft_7 ports_in { 61001 : 10.192.0.5 . 80, 8080 : 10.192.0.5 . 8080 }\n',
    )
    expect(removeContainerRules(home, { ...container, isOpen: false, ports })).toBe(
      'delete element inet croft_7 ports_in { 61001, 8080 }\n',
    )
  })
})

describe('the links of one container', () => {
  it('are a pair with one end in its network namespace, and routes of single addresses', () => {
    expect(hostLinkLines(home, 'c7-4', '10.192.0.5', 123)).toBe(
      'link add name c7-4 group 49399 type veth peer name eth0 netns 123\naddress add 10.192.0.1/32 dev c7-4\nlink set dev c7-4 up\nroute replace 10.192.0.5/32 dev c7-4 src 10.192.0.1\n',
    )
  })
})
