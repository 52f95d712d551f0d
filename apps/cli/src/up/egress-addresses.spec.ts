import { describe, expect, it } from 'vitest'
import { needsPermission, resolveEgress } from './egress-addresses.js'

describe("the addresses of the platform's egress list", () => {
  it.each([
    ['10.255.255.53', true],
    ['172.31.0.1', true],
    ['172.32.0.1', false],
    ['192.168.1.1', true],
    ['100.64.0.1', true],
    ['169.254.169.254', true],
    ['151.101.0.162', false],
  ])('%s needs permission: %s', (address, expected) => {
    expect(needsPermission(address)).toBe(expected)
  })
  it('are those in private ranges, once each, in one order', async () => {
    const list = [
      { host: '192.168.1.2', port: 443 },
      { host: '151.101.0.162', port: 443 },
      { host: '10.0.0.2', port: 53 },
      { host: '192.168.1.2', port: 443 },
    ]
    expect(await resolveEgress(list)).toEqual([
      { host: '10.0.0.2', port: 53 },
      { host: '192.168.1.2', port: 443 },
    ])
  })
})
