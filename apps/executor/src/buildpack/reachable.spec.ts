import { describe, expect, it } from 'vitest'
import { isPublic, reachableAddress } from './reachable.js'

describe('what buildpacks may be fetched from', () => {
  it.each<[string, boolean]>([
    ['93.184.216.34', true],
    ['2606:2800:220:1::1', true],
    ['10.1.2.3', false],
    ['127.0.0.1', false],
    ['169.254.169.254', false],
    ['172.31.0.1', false],
    ['192.168.1.1', false],
    ['100.64.0.1', false],
    ['0.0.0.0', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['::ffff:10.0.0.1', false],
    ['::ffff:127.0.0.1', false],
    ['64:ff9b::a00:1', false],
    ['fe80::1', false],
    ['fd00::1', false],
    ['not an address', false],
  ])('%s: %s', (address, expected) => {
    expect(isPublic(address)).toBe(expected)
  })

  it('is a private address only by the egress list, host and port', async () => {
    const url = new URL('https://127.0.0.1:8443/x.git')
    await expect(reachableAddress(url, [])).rejects.toThrow('127.0.0.1 lies in a private range')
    await expect(reachableAddress(url, [{ host: '127.0.0.1', port: 443 }])).rejects.toThrow('private range')
    expect(await reachableAddress(url, [{ host: '127.0.0.1', port: 8443 }])).toBe('127.0.0.1')
    expect(await reachableAddress(url, [{ host: '127.0.0.0/29', port: 8443 }])).toBe('127.0.0.1')
    await expect(reachableAddress(url, [{ host: '127.0.0.8/29', port: 8443 }])).rejects.toThrow('private range')
  })
})
