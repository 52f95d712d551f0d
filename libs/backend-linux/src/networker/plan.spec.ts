import { describe, expect, it } from 'vitest'
import {
  addContainerRules,
  containerLinkLines,
  hostLinkLines,
  removeContainerRules,
  tableText,
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
  const text = tableText(home, [{ slot: 1, address: '10.192.0.2', netOut: undefined }])

  it('replaces the one before in one transaction', () => {
    expect(text.startsWith('add table inet croft_7\ndelete table inet croft_7\ntable inet croft_7 {\n')).toBe(true)
    expect(text).toContain('add element inet croft_7 open_to_all { 10.192.0.2 }')
  })

  it('decides about forwarded packets in this order: neighbours, answers, DNS, own rules, platform egress, private ranges, Internet, nothing', () => {
    const rules = chain(text, 'pass_on').slice(1)
    const position = (part: string): number => rules.findIndex((rule) => rule.includes(part))
    const order = [
      'oifgroup 49399 drop',
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
      'iifgroup 49399 ip saddr @open_to_all ip daddr . tcp dport @platform_egress accept',
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
    expect(tableText({ ...home, resolver: null }, [])).not.toContain('dnat')
  })
})

describe('the rules of one container', () => {
  it('open it to the Internet when the spec has none', () => {
    const container = { slot: 4, address: '10.192.0.5', netOut: undefined }
    expect(addContainerRules(home, container)).toBe('add element inet croft_7 open_to_all { 10.192.0.5 }\n')
    expect(removeContainerRules(home, container)).toBe('delete element inet croft_7 open_to_all { 10.192.0.5 }\n')
  })

  it('are a chain of its own when the spec has some, and an empty one allows nothing', () => {
    const none = addContainerRules(home, { slot: 4, address: '10.192.0.5', netOut: [] })
    expect(none).not.toContain('accept')
    expect(none).toContain('by_rule { 10.192.0.5 : jump out_4 }')
  })

  it.each([
    [{ protocol: 'all' as const }, 'accept'],
    [{ protocol: 'tcp' as const }, 'meta l4proto tcp accept'],
    [
      {
        protocol: 'tcp' as const,
        networks: [{ start: '1.2.3.4', end: '1.2.3.9' }, { start: '5.6.7.8' }],
        ports: [{ start: 80 }, { start: 1, end: 9 }],
      },
      'ip daddr { 1.2.3.4-1.2.3.9, 5.6.7.8 } tcp dport { 80, 1-9 } accept',
    ],
    [
      { protocol: 'udp' as const, ports: [{ start: 53, end: 53 }], log: true },
      'udp dport { 53 } log prefix "croft-out-4 " accept',
    ],
    [{ protocol: 'icmp' as const, icmp: { type: 8, code: 0 } }, 'meta l4proto icmp icmp type 8 icmp code 0 accept'],
  ])('%j becomes one line', (rule, line) => {
    const text = addContainerRules(home, { slot: 4, address: '10.192.0.5', netOut: [rule] })
    expect(text.split('\n')[2]).toBe(`add rule inet croft_7 out_4 ${line}`)
  })
})

describe('the links of one container', () => {
  it('are a pair with one end in its network namespace, and routes of single addresses', () => {
    expect(hostLinkLines(home, 'c7-4', '10.192.0.5', 123)).toBe(
      'link add name c7-4 group 49399 type veth peer name eth0 netns 123\naddress add 10.192.0.1/32 dev c7-4\nlink set dev c7-4 up\nroute add 10.192.0.5/32 dev c7-4 src 10.192.0.1\n',
    )
    expect(containerLinkLines(home, '10.192.0.5')).toContain('route add default via 10.192.0.1 dev eth0')
  })
})
