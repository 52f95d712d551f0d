import { describe, expect, it } from 'vitest'
import { AddressAllocator, SlotAllocator, type AddressClaim } from './allocator.js'
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
  it('wait for what still bears their name, and whoever wants the last one waits with them', async () => {
    const slots = new SlotAllocator(2)
    const gone = Promise.withResolvers<boolean>()
    expect([slots.take(), slots.take()]).toEqual([0, 1])
    slots.freeAfter(0, gone.promise)
    expect(slots.take()).toBe(null)
    const soon = slots.takeSoon()
    gone.resolve(true)
    expect(await soon).toBe(0)
    slots.freeAfter(1, Promise.resolve(false))
    expect(await slots.takeSoon()).toBe(null)
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
    expect(addresses.take('10.0.0.9')).toEqual({ kind: 'taken', address: '10.0.0.9', subnet: null })
    expect(addresses.take('10.0.0.9')).toEqual({ kind: 'in-use' })
    addresses.free('10.0.0.9')
    expect(addresses.take('10.0.0.9').kind).toBe('taken')
    expect(addresses.take('10.0.0.10/32').kind).toBe('taken')
  })
  it.each([
    ['10.0.0.0', { kind: 'reserved', as: 'network', of: '10.0.0.0/24' }],
    ['10.0.0.1', { kind: 'reserved', as: 'gateway', of: '10.0.0.0/24' }],
    ['10.0.0.255', { kind: 'reserved', as: 'broadcast', of: '10.0.0.0/24' }],
    ['10.0.0.17/28', { kind: 'reserved', as: 'gateway', of: '10.0.0.16/28' }],
    ['10.0.0.31/28', { kind: 'reserved', as: 'broadcast', of: '10.0.0.16/28' }],
    ['10.0.1.0', { kind: 'outside' }],
    ['10.0.1.0/28', { kind: 'outside' }],
    ['10.0.0.0/23', { kind: 'outside' }],
    ['10.0.0.0/31', { kind: 'not-an-address' }],
    ['10.0.0.0/x', { kind: 'not-an-address' }],
    ['nonsense', { kind: 'not-an-address' }],
    ['', { kind: 'not-an-address' }],
  ])('are not given for %j', (wanted, refusal) => {
    expect(new AddressAllocator(network('10.0.0.0/24')).take(wanted)).toEqual(refusal)
  })
})

describe('blocks of addresses', () => {
  const addressOf = (claim: AddressClaim): string => (claim.kind === 'taken' ? claim.address : claim.kind)

  it('give the next free address, or the one that was asked for, until they are full', () => {
    const addresses = new AddressAllocator(network('10.0.0.0/24'))
    expect(addressOf(addresses.take('10.0.0.16/29'))).toBe('10.0.0.18')
    expect(addressOf(addresses.take('10.0.0.20/29'))).toBe('10.0.0.20')
    expect(['/29', '/29', '/29', '/29'].map((size) => addressOf(addresses.take(`10.0.0.16${size}`)))).toEqual([
      '10.0.0.19',
      '10.0.0.21',
      '10.0.0.22',
      'full',
    ])
    expect(addresses.take('10.0.0.20/29')).toEqual({ kind: 'in-use' })
    addresses.free('10.0.0.19')
    expect(addressOf(addresses.take('10.0.0.16/29'))).toBe('10.0.0.19')
  })
  it('are shared by those that ask for the same, and by nobody else while one of them is there', () => {
    const addresses = new AddressAllocator(network('10.0.0.0/24'))
    const first = addressOf(addresses.take('10.0.0.0/25'))
    expect(first).toBe('10.0.0.2')
    expect(addresses.take('10.0.0.64/26')).toEqual({ kind: 'overlaps', subnet: '10.0.0.0/25' })
    expect(addresses.take('10.0.0.0/24')).toEqual({ kind: 'overlaps', subnet: '10.0.0.0/25' })
    expect(addressOf(addresses.take())).toBe('10.0.0.128')
    addresses.free(first)
    expect(addressOf(addresses.take('10.0.0.64/26'))).toBe('10.0.0.66')
  })
  it('stand back when nothing else is left', () => {
    const addresses = new AddressAllocator(network('10.0.0.0/29'))
    addresses.take('10.0.0.4/30')
    expect([1, 2, 3, 4, 5].map(() => addressOf(addresses.take()))).toEqual([
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.4',
      '10.0.0.5',
      'full',
    ])
  })
  it('are those of adopted containers again', () => {
    const addresses = new AddressAllocator(network('10.0.0.0/24'))
    addresses.claim('10.0.0.18', '10.0.0.16/28')
    expect(addresses.take('10.0.0.16/29').kind).toBe('overlaps')
    expect(addressOf(addresses.take('10.0.0.16/28'))).toBe('10.0.0.19')
  })
})
