import { describe, expect, it } from 'vitest'
import { readTaken } from './port-plan.js'
import { ephemeralPorts, PortPool } from './port-pool.js'

describe('the pool of host ports', () => {
  const any = (): boolean => true

  it('gives each port once, a freed one not before the others had their turn, until none is left', () => {
    const pool = new PortPool(5000, 5002)
    expect([pool.take(1, any), pool.take(1, any)]).toEqual([5000, 5001])
    pool.free(5000, 1)
    expect([pool.take(1, any), pool.take(1, any), pool.take(1, any)]).toEqual([5002, 5000, null])
  })
  it('leaves out what was asked for by number, of the pool or not', () => {
    const pool = new PortPool(5000, 5001)
    const claims = [5000, 5000, 80, 80].map((port) => pool.claim(port, 1))
    expect(claims).toEqual([true, false, true, false])
    expect([pool.take(2, any), pool.take(2, any)]).toEqual([5001, null])
    expect([80, 81, 5001].map((port) => pool.ownerOf(port))).toEqual([1, undefined, 2])
  })
  it('takes a port back from whom it was given to only', () => {
    const pool = new PortPool(5000, 5000)
    pool.take(1, any)
    pool.free(5000, 2)
    expect(pool.take(2, any)).toBeNull()
    pool.free(5000, 1)
    expect(pool.take(2, any)).toBe(5000)
  })
  it('leaves out what the caller does not want', () => {
    expect(new PortPool(5000, 5009).take(1, (port) => port > 5007)).toBe(5008)
  })
  it('may be empty', () => {
    expect(new PortPool(5000, 4999).take(1, any)).toBeNull()
  })
})

describe('the ports the kernel gives away by itself', () => {
  it.each([
    ['32768\t60999\n', '\n', [32_767, 32_768, 60_999, 61_000], [false, true, true, false]],
    [
      '1024\t65535\n',
      '61001-61003,62000\n',
      [61_000, 61_001, 61_003, 61_004, 62_000],
      [true, false, false, true, false],
    ],
  ])('are those of %j without %j', (range, reserved, ports, expected) => {
    expect(ports.map(ephemeralPorts(range, reserved))).toEqual(expected)
  })
})

describe('the table of all homes', () => {
  it('says which home has which port', () => {
    const json =
      '{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"map": {"name": "taken", "elem": [[61001, 1], [80, 3]]}}]}'
    expect([...readTaken(json)]).toEqual([
      [61_001, 1],
      [80, 3],
    ])
    expect([...readTaken('{"nftables": [{"map": {"name": "taken"}}]}')]).toEqual([])
  })
})
