import { describe, expect, it } from 'vitest'
import { rangesOf } from './networks.js'

describe('the ranges a host routes', () => {
  it('are its networks, not its default route', () => {
    const routes = [
      { dst: 'default', gateway: '192.0.2.1', dev: 'eth0' },
      { dst: '192.0.2.0/24', dev: 'eth0', protocol: 'kernel' },
    ]
    expect(rangesOf(routes, 0)).toEqual(['192.0.2.0/24'])
  })
  it("are what other homes reserved and use too, so that no address is given twice, but nothing of one's own", () => {
    const routes = [
      { type: 'unreachable', dst: '10.192.0.0/20', protocol: '101' },
      { type: 'unreachable', dst: '10.193.0.0/20', protocol: '112' },
      { dst: '10.192.0.3', dev: 'c1-0' },
      { dst: '10.193.0.4', dev: 'c12-7' },
    ]
    expect(rangesOf(routes, 1)).toEqual(['10.193.0.0/20', '10.193.0.4/32'])
    expect(rangesOf(routes, 12)).toEqual(['10.192.0.0/20', '10.192.0.3/32'])
  })
})
