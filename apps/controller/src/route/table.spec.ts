import type { AppId, InstanceId } from '@croft/kit'
import { routeSchema } from '@croft/protocol'
import { describe, expect, it } from 'vitest'
import { routeTable, routingFootprint, type RoutedInstance, type TableInput } from './table.js'

const SHOP = '0190a000-0000-7000-8000-000000000001' as AppId
const BLOG = '0190a000-0000-7000-8000-000000000002' as AppId
const instance = (n: number, changes: Partial<RoutedInstance> = {}): RoutedInstance => ({
  id: `0190a000-0000-7000-8000-00000000010${n}` as InstanceId,
  appId: SHOP,
  type: 'web',
  intent: 'run',
  observed: 'ready',
  address: `10.192.0.${n}:8080`,
  releaseVersion: 1,
  isNodeLost: false,
  ...changes,
})
const input = (changes: Partial<TableInput> = {}): TableInput => ({
  domain: 'localhost',
  apps: [{ id: SHOP, name: 'shop', wanted: 1 }],
  hosts: [],
  instances: [],
  ...changes,
})
const only = (changes: Partial<TableInput>) => routeTable(input(changes))[0]

describe('the route table', () => {
  it('has the ready instances of an app at the host of its name', () => {
    const table = routeTable(input({ instances: [instance(2), instance(1)] }))
    expect(table).toEqual([
      {
        host: 'shop.localhost',
        pathPrefix: '/',
        appId: SHOP,
        appName: 'shop',
        idleReason: null,
        endpoints: [1, 2].map((n) => ({
          address: `10.192.0.${n}:8080`,
          instanceId: instance(n).id,
          releaseVersion: 1,
          weight: 100,
        })),
      },
    ])
    for (const route of table) expect(routeSchema.parse(route)).toEqual(route)
  })

  it.each<[string, Partial<RoutedInstance>]>([
    ['drains', { intent: 'drain' }],
    ['stops', { intent: 'stop' }],
    ['is not ready', { observed: 'unready' }],
    ['has said nothing', { observed: null }],
    ['has no address', { address: null }],
    ['is on a lost node', { isNodeLost: true }],
    ['is of a type without traffic', { type: 'worker' }],
  ])('leaves out an instance that %s', (_what, changes) => {
    expect(only({ instances: [instance(1, changes)] })?.endpoints).toEqual([])
  })

  it('says why an app has no endpoints', () => {
    expect(only({})?.idleReason).toBe('starting')
    expect(only({ instances: [instance(1, { observed: 'starting' })] })?.idleReason).toBe('starting')
    expect(only({ instances: [instance(1, { observed: 'backoff' })] })?.idleReason).toBe('crashed')
    expect(
      only({ instances: [instance(1, { observed: 'backoff' }), instance(2, { observed: 'starting' })] })?.idleReason,
    ).toBe('starting')
    expect(only({ apps: [{ id: SHOP, name: 'shop', wanted: 0 }] })?.idleReason).toBe('scaled-to-zero')
  })

  it('has every other host of an app too, in an order that depends on nothing else', () => {
    const table = routeTable(
      input({
        apps: [
          { id: SHOP, name: 'shop', wanted: 1 },
          { id: BLOG, name: 'blog', wanted: 0 },
        ],
        hosts: [
          { appId: SHOP, host: 'www.Example.org', pathPrefix: '/' },
          { appId: BLOG, host: 'www.example.org', pathPrefix: '/blog' },
        ],
        instances: [instance(1)],
      }),
    )
    expect(table.map(({ host, pathPrefix, appName }) => `${host}${pathPrefix} ${appName}`)).toEqual([
      'blog.localhost/ blog',
      'shop.localhost/ shop',
      'www.example.org/ shop',
      'www.example.org/blog blog',
    ])
  })
})

describe('a status', () => {
  it('needs a new table only when it shows in one', () => {
    expect(routingFootprint('web', 'creating', null)).toBe(routingFootprint('web', 'starting', 'a'))
    expect(routingFootprint('web', 'ready', 'a')).not.toBe(routingFootprint('web', 'unready', 'a'))
    expect(routingFootprint('web', 'ready', 'a')).not.toBe(routingFootprint('web', 'ready', 'b'))
    expect(routingFootprint('worker', 'ready', null)).toBe(routingFootprint('worker', 'backoff', null))
  })
})
