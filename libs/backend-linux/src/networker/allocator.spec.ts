import { describe, expect, it } from 'vitest'
import { AddressAllocator, SlotAllocator } from './allocator.js'
import { parseNetwork } from './address.js'

const network = (text: string): NonNullable<ReturnType<typeof parseNetwork>> => {
  const parsed = parseNetwork(text)
  if (parsed === null) throw new Error(text)
  return parsed
}

describe('slots', () => {
  it('are given out once, and a freed one not before all others had their turn', () => {
    const slots = new SlotAllocator(3)
    expect([slots.take(), slots.take()]).toEqual([0, 1])
    slots.free(0)
    expect([slots.take(), slots.take(), slots.take()]).toEqual([2, 0, null])
  })
  it('are not given out when an adopted container has them', () => {
    const slots = new SlotAllocator(2)
    expect([slots.claim(0), slots.claim(0), slots.claim(9)]).toEqual([true, false, false])
    expect([slots.take(), slots.take()]).toEqual([1, null])
  })
})

describe('addresses', () => {
  it('leave out the network, the gateway and the last, until none is left', () => {
    const addresses = new AddressAllocator(network('10.0.0.0/29'))
    const given = Array.from({ length: 6 }, () => addresses.take())
    expect(given.map((claim) => (claim.kind === 'taken' ? claim.address : claim.kind))).toEqual([
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.4',
      '10.0.0.5',
      '10.0.0.6',
      'full',
    ])
  })
  it('are given when asked for, inside the range and free', () => {
    const addresses = new AddressAllocator(network('10.0.0.0/28'))
    expect(addresses.take('10.0.0.9')).toEqual({ kind: 'taken', address: '10.0.0.9' })
    expect(addresses.take('10.0.0.9')).toEqual({ kind: 'in-use' })
    addresses.free('10.0.0.9')
    expect(addresses.take('10.0.0.9').kind).toBe('taken')
    for (const outside of ['10.0.0.0', '10.0.0.1', '10.0.0.15', '10.0.0.16', '9.9.9.9', 'nonsense']) {
      expect(addresses.take(outside), outside).toEqual({ kind: 'outside' })
    }
  })
})
