import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assign, free, move, NoAddressLeftError, QUARANTINE_MS, type AddressBook } from './address-book.js'

const empty = (network = '10.192.0.0/20'): AddressBook => ({ network, assigned: {}, resting: {} })

describe('address book', () => {
  it('begins after network and gateway', () => {
    expect(assign(empty(), 'a', 0).address).toBe('10.192.0.2')
  })
  it('gives an instance the same address whenever it asks', () => {
    const { book, address } = assign(empty(), 'a', 0)
    expect(assign(book, 'a', 1e9).address).toBe(address)
  })
  it('gives another address to an instance whose address lies outside a new range', () => {
    const { book } = assign(empty(), 'a', 0)
    expect(assign({ ...book, network: '10.192.16.0/20' }, 'a', 1).address).toBe('10.192.16.2')
  })
  it('lets a freed address rest for ten minutes', () => {
    const freed = free(assign(empty(), 'a', 0).book, 'a', 1_000)
    expect(assign(freed, 'b', 1_000 + QUARANTINE_MS - 1).address).toBe('10.192.0.3')
    expect(assign(freed, 'b', 1_000 + QUARANTINE_MS).address).toBe('10.192.0.2')
  })
  it('says when none is left, and never gives network, gateway or broadcast', () => {
    let book = empty('10.9.9.0/29')
    const given: string[] = []
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      const next = assign(book, id, 0)
      book = next.book
      given.push(next.address)
    }
    expect(given).toEqual(['10.9.9.2', '10.9.9.3', '10.9.9.4', '10.9.9.5', '10.9.9.6'])
    expect(() => assign(book, 'f', 0)).toThrow(NoAddressLeftError)
  })
  it('gives the address of one to another who has none, and it does not rest', () => {
    const { book } = assign(empty(), 'spare', 0)
    expect(move(book, 'spare', 'a')).toEqual({ ...book, assigned: { a: '10.192.0.2' } })
  })
  it.each<[string, AddressBook]>([
    ['of one who has none', { ...empty(), assigned: {} }],
    ['to one who has its own', { ...empty(), assigned: { spare: '10.192.0.2', a: '10.192.0.3' } }],
    ['of a range the node had before', { ...empty('10.192.16.0/20'), assigned: { spare: '10.192.0.2' } }],
  ])('gives no address %s', (_what, book) => expect(move(book, 'spare', 'a')).toBeNull())
  it('never gives one address to two instances, whatever comes and goes', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            id: fc.constantFrom('a', 'b', 'c', 'd'),
            does: fc.constantFrom('asks', 'is freed', 'gives to d'),
            afterMs: fc.nat(900_000),
          }),
        ),
        (events) => {
          let book = empty('10.9.9.0/28')
          let now = 0
          const freedAt = new Map<string, number>()
          for (const { id, does, afterMs } of events) {
            now += afterMs
            if (does === 'gives to d') {
              const given = move(book, id, 'd')
              if (given !== null) expect(given.resting).toEqual(book.resting)
              book = given ?? book
            } else if (does === 'is freed') {
              const address = book.assigned[id]
              if (address !== undefined) freedAt.set(address, now)
              book = free(book, id, now)
            } else {
              const isNew = book.assigned[id] === undefined
              const next = assign(book, id, now)
              book = next.book
              if (isNew) expect(now - (freedAt.get(next.address) ?? -Infinity)).toBeGreaterThanOrEqual(QUARANTINE_MS)
            }
            const addresses = Object.values(book.assigned)
            expect(new Set(addresses).size).toBe(addresses.length)
          }
        },
      ),
    )
  })
})
