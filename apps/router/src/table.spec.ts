import type { Route } from '@croft/protocol'
import { describe, expect, it } from 'vitest'
import { poolsOf } from './table.js'

const PLATFORM = new Set(['localhost', 'croft.localhost', 'registry.localhost'])
const SHOP = '00000000-0000-4000-8000-000000000001'

function route(more: Partial<Route> = {}): Route {
  return {
    host: 'shop.localhost',
    pathPrefix: '/',
    appId: SHOP,
    appName: 'shop',
    idleReason: null,
    endpoints: [{ address: '10.192.0.2:8080', instanceId: SHOP, releaseVersion: 1, weight: 1 }],
    ...more,
  }
}

describe('table: pools of routes', () => {
  it('hosts of one app with the same endpoints share a pool', () => {
    const { pools } = poolsOf([route(), route({ host: 'www.example.org', pathPrefix: '/shop' })], PLATFORM)
    expect(pools.map((pool) => pool.prefixes)).toEqual([['shop.localhost/', 'www.example.org/shop/']])
  })

  it('one app’s routes with different endpoints, and two apps, do not', () => {
    const other = { address: '10.192.0.3:8080', instanceId: SHOP, releaseVersion: 1, weight: 1 }
    const { pools } = poolsOf([route(), route({ pathPrefix: '/api', endpoints: [other] })], PLATFORM)
    expect(pools.length).toBe(2)
  })

  it('without endpoints the reason is kept, and "starting" when none is given', () => {
    const { pools } = poolsOf(
      [route({ endpoints: [], idleReason: 'crashed' }), route({ host: 'b.localhost', appName: 'b', endpoints: [] })],
      PLATFORM,
    )
    expect(pools.map((pool) => pool.idleReason)).toEqual(['crashed', 'starting'])
  })

  it.each([
    ['a host of the platform', { host: 'croft.localhost' }],
    ['the platform’s domain itself', { host: 'localhost' }],
    ['a host that would break a map line', { host: 'a b' }],
    ['a host in capitals', { host: 'Shop.localhost' }],
    ['a path that would end a command', { pathPrefix: '/a;shutdown' }],
    ['a path with a line break', { pathPrefix: '/a\nb' }],
    ['a name that is no name', { appName: 'a%[b]' }],
    ['an address with more in it', { endpoints: [{ ...route().endpoints[0]!, address: '10.0.0.1:80 weight 2' }] }],
  ])('%s is left out and named, and the rest is served', (_what, wrong) => {
    const { pools, refused } = poolsOf([route(wrong), route({ host: 'ok.localhost', appName: 'ok' })], PLATFORM)
    expect(refused.length).toBe(1)
    expect(pools.map((pool) => pool.appName)).toEqual(['ok'])
  })

  it('of two routes with the same host and path the second is left out', () => {
    const { refused } = poolsOf([route({ pathPrefix: '/a' }), route({ pathPrefix: '/a/', appName: 'b' })], PLATFORM)
    expect(refused).toEqual([{ route: 'shop.localhost/a/', why: 'another route has the same host and path' }])
  })
})
