import { describe, expect, it } from 'vitest'
import { isTaken, overlaps, parseRange, pickNetwork } from './network.js'

const PLATFORM = '10.192.0.0/12'

describe('the range of a node', () => {
  it.each([
    ['10.192.0.0/20', [], 0],
    ['10.192.64.0/20', [], 4],
    ['10.192.16.0/20', ['10.192.3.7'], 0],
    ['10.192.32.0/20', ['10.192.0.0/19'], 0],
    ['10.192.0.0/20', ['0.0.0.0/0', 'fe80::/64', '192.168.0.0/16', 'default'], 0],
    ['10.192.0.0/20', ['10.207.240.0/20'], 255],
  ])('is %s when the host routes %j and the search begins at %d', (network, taken, offset) => {
    expect(pickNetwork(PLATFORM, taken, offset)).toBe(network)
  })

  it('is none when everything is taken', () => {
    expect(pickNetwork(PLATFORM, ['10.0.0.0/8'], 0)).toBeNull()
    expect(pickNetwork('not a range', [], 0)).toBeNull()
  })

  it('is taken by any route that overlaps, but not by the default route', () => {
    expect(isTaken('10.192.0.0/20', ['10.192.15.255'])).toBe(true)
    expect(isTaken('10.192.0.0/20', ['10.192.16.0', '0.0.0.0/0'])).toBe(false)
  })
})

describe('a range', () => {
  it.each(['10.0.0.256', '10.0.0.0/33', '10.0.0', '', 'fe80::1'])('is not %j', (text) => {
    expect(parseRange(text)).toBeNull()
  })

  it('begins where its prefix says, whatever the address in it', () => {
    expect(parseRange('10.0.0.77/24')).toEqual(parseRange('10.0.0.0/24'))
    expect(overlaps({ first: 1, last: 5 }, { first: 5, last: 9 })).toBe(true)
    expect(overlaps({ first: 1, last: 5 }, { first: 6, last: 9 })).toBe(false)
  })
})
