import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NetOutRule } from '@croft/garden-api'
import { addRuleChain, deleteRuleChain, MAX_NET_OUT_RANGES, netOutProblem } from './net-out.js'

/** The lines of a container's own chain. */
const linesOf = (...rules: NetOutRule[]): string[] =>
  addRuleChain('t', { slot: 4, handle: 'app:web.1', rules })
    .split('\n')
    .filter((line) => line.startsWith('add rule inet t out_4 '))
    .map((line) => line.replace('add rule inet t out_4 ', ''))

describe('what a container may reach', () => {
  it.each<[NetOutRule, string[]]>([
    [{ protocol: 'all' }, ['accept']],
    [{ protocol: 'tcp' }, ['meta l4proto tcp accept']],
    [{ protocol: 'all', networks: [{ start: '1.2.3.4' }] }, ['ip daddr 1.2.3.4 accept']],
    [
      {
        protocol: 'tcp',
        networks: [{ start: '1.2.3.4', end: '1.2.3.9' }],
        ports: [{ start: 80 }, { start: 1, end: 9 }],
      },
      ['ip daddr 1.2.3.4-1.2.3.9 tcp dport 1-9 accept', 'ip daddr 1.2.3.4-1.2.3.9 tcp dport 80 accept'],
    ],
    [{ protocol: 'udp', ports: [{ start: 53, end: 53 }] }, ['udp dport 53 accept']],
    [{ protocol: 'icmp' }, ['meta l4proto icmp accept']],
    [{ protocol: 'icmp', icmp: { type: 8 } }, ['icmp type 8 accept']],
    [{ protocol: 'icmp', icmp: { type: 8, code: 0 } }, ['icmp type 8 icmp code 0 accept']],
    [
      { protocol: 'tcp', ports: [{ start: 80 }], log: true },
      ['tcp dport 80 limit rate 100/second burst 100 packets log prefix "croft app:web.1 "', 'tcp dport 80 accept'],
    ],
  ])('%j becomes lines', (rule, lines) => {
    expect(linesOf(rule)).toEqual(lines)
  })

  it('is tried newest first', () => {
    expect(linesOf({ protocol: 'tcp' }, { protocol: 'udp' })).toEqual([
      'meta l4proto udp accept',
      'meta l4proto tcp accept',
    ])
  })

  it('adds up, and does not multiply, when it has many addresses and many ports', () => {
    const rule: NetOutRule = {
      protocol: 'tcp',
      networks: [{ start: '1.1.1.1' }, { start: '2.2.2.2' }],
      ports: [{ start: 80 }, { start: 443 }],
    }
    const text = addRuleChain('t', { slot: 4, handle: 'h', rules: [rule] })
    expect(linesOf(rule)).toEqual(['ip daddr 1.1.1.1 jump out_4_0', 'ip daddr 2.2.2.2 jump out_4_0'])
    expect(text).toContain(
      'add rule inet t out_4_0 tcp dport 80 accept\nadd rule inet t out_4_0 tcp dport 443 accept\n',
    )
    expect(deleteRuleChain('t', { slot: 4, rules: [rule] })).toBe(
      'flush chain inet t out_4\nflush chain inet t out_4_0\ndelete chain inet t out_4\ndelete chain inet t out_4_0\n',
    )
  })

  it('joins ranges that overlap or touch, and covers what they cover', () => {
    const port = fc.integer({ min: 0, max: 65_535 })
    const ranges = fc.array(fc.tuple(port, port), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(ranges, port, (pairs, probe) => {
        const ports = pairs.map(([one, other]) => ({ start: Math.min(one, other), end: Math.max(one, other) }))
        const spans = linesOf({ protocol: 'udp', ports }).map((line) =>
          (/dport (\d+)(?:-(\d+))? /.exec(line) ?? [])
            .slice(1)
            .map((text) => (text === undefined ? undefined : Number(text))),
        )
        const covers = (list: (number | undefined)[][]): boolean =>
          list.some(([start = 0, end = start]) => probe >= start && probe <= end)
        expect(covers(spans)).toBe(ports.some(({ start, end }) => probe >= start && probe <= end))
        for (const [index, [start = 0]] of spans.entries()) {
          const [before = 0, end = before] = spans[index - 1] ?? []
          if (index > 0) expect(start).toBeGreaterThan(end + 1)
        }
      }),
    )
  })
})

describe('rules of what a container may reach', () => {
  it.each<[NetOutRule, string]>([
    [{ protocol: 'icmp', ports: [{ start: 1 }] }, 'Ports cannot be specified for Protocol ICMP'],
    [{ protocol: 'all', ports: [{ start: 1 }] }, 'Ports cannot be specified for Protocol ALL'],
    [{ protocol: 'icmpv6' }, 'IPv6 is off in containers: the protocol icmpv6 cannot be allowed'],
    [
      { protocol: 'all', networks: [{ start: '2001:db8::1' }] },
      'IPv6 is off in containers: 2001:db8::1-2001:db8::1 cannot be allowed',
    ],
    [{ protocol: 'sctp' as 'tcp' }, 'invalid protocol: sctp'],
    [{ protocol: 'tcp', networks: [{ start: '1.2.3.4', end: '1.2.3.3' }] }, 'not an IPv4 range: 1.2.3.4-1.2.3.3'],
    [
      { protocol: 'tcp', networks: [{ start: '1.2.3.4 } ; drop' }] },
      'not an IPv4 range: 1.2.3.4 } ; drop-1.2.3.4 } ; drop',
    ],
    [{ protocol: 'tcp', ports: [{ start: 9, end: 1 }] }, 'not a port range: 9-1'],
    [{ protocol: 'tcp', ports: [{ start: 1.5 }] }, 'not a port range: 1.5-1.5'],
    [{ protocol: 'tcp', ports: [{ start: 1, end: 65_536 }] }, 'not a port range: 1-65536'],
    [{ protocol: 'icmp', icmp: { type: 256 } }, 'not an ICMP type and code'],
    [{ protocol: 'tcp', icmp: { type: 8 } }, 'an ICMP type cannot be specified for Protocol TCP'],
  ])('are refused: %j', (rule, problem) => {
    expect(netOutProblem([{ protocol: 'tcp' }, rule])).toBe(problem)
  })

  it('are refused when there are too many in all', () => {
    const ports = Array.from({ length: MAX_NET_OUT_RANGES - 1 }, (_, index) => ({ start: index }))
    expect(netOutProblem([{ protocol: 'tcp', ports }])).toBeNull()
    expect(netOutProblem([{ protocol: 'tcp', ports }, { protocol: 'udp' }])).toContain('ranges')
  })
})
