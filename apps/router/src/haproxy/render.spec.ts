import { describe, expect, it } from 'vitest'
import { assign } from './assign.js'
import { platformRoutes, render } from './render.js'
import { BLANK_ADDRESS, emptyMaps, type HaproxyState, type Slot } from './state.js'

const CONFIG = {
  run: '/run/croft/0',
  domain: 'localhost',
  listen: ['127.0.0.1', '::1'],
  httpPort: 8080,
  publicUrl: new URL('http://localhost:8080'),
  timeScale: 1,
}

function slot(backend: string, name: string): Slot {
  return { backend, name, address: BLANK_ADDRESS, isReady: false, weight: 1 }
}

/** Two backends of two slots: one with an instance, one spare. */
function state(): HaproxyState {
  return {
    slots: [
      { ...slot('b00001', 's1'), address: '10.192.0.2:8080', isReady: true, weight: 100 },
      slot('b00001', 's2'),
      slot('b00002', 's1'),
      slot('b00002', 's2'),
    ],
    maps: {
      ...emptyMaps(),
      routes: new Map([...platformRoutes('localhost'), ['shop.localhost/', 'b00001']]),
      names: new Map([['b00001', 'shop']]),
    },
  }
}

describe('render: HAProxy’s files', () => {
  it('are these', async () => {
    const { files } = render(CONFIG, state())
    expect([...files.keys()].at(-1)).toBe('haproxy.cfg')
    for (const [name, text] of files) await expect(text).toMatchFileSnapshot(`./golden/${name}`)
  })

  it('start HAProxy with what it serves, so that a death of HAProxy loses no app', () => {
    const text = render(CONFIG, state()).files.get('haproxy.cfg') ?? ''
    expect(text).toContain('server s1 10.192.0.2:8080 weight 100')
    expect(text).toContain(`server s2 ${BLANK_ADDRESS} disabled`)
  })
})

/** Of a changed configuration and state. */
function hashOf(config: Partial<typeof CONFIG>, change: (state: HaproxyState) => void = () => undefined): string {
  const one = state()
  change(one)
  return render({ ...CONFIG, ...config }, one).hash
}

describe('render: the hash', () => {
  it('stays when only addresses, weights, states and maps change: no reload', () => {
    const other = hashOf({}, ({ slots, maps }) => {
      Object.assign(slots[2] ?? {}, { address: '10.192.0.9:8080', isReady: true, weight: 7 })
      maps.routes.set('blog.localhost/', 'b00002')
    })
    expect(other).toBe(hashOf({}))
  })

  it.each([
    ['a port', hashOf({ httpPort: 8081 })],
    ['an address', hashOf({ listen: ['0.0.0.0'] })],
    ['the domain’s public address', hashOf({ publicUrl: new URL('https://apps.example.org') })],
    ['another slot', hashOf({}, ({ slots }) => slots.push(slot('b00002', 's3')))],
  ])('changes with %s', (_what, hash) => {
    expect(hash).not.toBe(hashOf({}))
  })

  it('a thousand apps render quickly enough to do it for every change', () => {
    const pools = Array.from({ length: 1000 }, (_, index) => ({
      appName: `app-${index}`,
      prefixes: [`app-${index}.localhost/`],
      endpoints: [
        { address: `10.192.${index >> 8}.${index & 255}:8080`, instanceId: '', releaseVersion: 1, weight: 1 },
      ],
      idleReason: null,
    }))
    const desired = assign(pools, null, () => false, platformRoutes('localhost'))
    const started = performance.now()
    render(CONFIG, desired)
    expect(performance.now() - started).toBeLessThan(500)
  })
})
