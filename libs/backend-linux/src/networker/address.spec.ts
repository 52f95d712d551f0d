import { describe, expect, it } from 'vitest'
import * as fc from 'fast-check'
import { formatAddress, gatewayOf, isInside, parseAddress, parseNetwork } from './address.js'

describe('an IPv4 address', () => {
  it('reads what it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (value) => {
        expect(parseAddress(formatAddress(value))).toBe(value)
      }),
    )
  })
  it.each(['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1.2.3.x', '1.2.3.-4', '::1', '1.2.3.4/8', ' 1.2.3.4'])(
    'is not %j',
    (text) => {
      expect(parseAddress(text)).toBeNull()
    },
  )
})

describe('a range of addresses', () => {
  it('has its first usable address as gateway', () => {
    const network = parseNetwork('10.192.16.0/20')
    expect(network).toEqual({ base: 0x0ac01000, prefix: 20, size: 4096 })
    if (network === null) return
    expect(gatewayOf(network)).toBe('10.192.16.1')
    expect(
      [parseAddress('10.192.31.255'), parseAddress('10.192.32.0')].map((at) => isInside(network, at ?? 0)),
    ).toEqual([true, false])
  })
  it.each(['10.0.0.1/20', '10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', 'x/8'])('is not %j', (text) => {
    expect(parseNetwork(text)).toBeNull()
  })
})
