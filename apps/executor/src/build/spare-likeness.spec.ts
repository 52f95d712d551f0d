import { describe, expect, it } from 'vitest'
import type { BindMount } from '@croft/garden-api'
import { isLike, type Likeness } from './spare-likeness.js'

const layers: BindMount = {
  srcPath: '/builds/spare/layers',
  dstPath: '/layers',
  mode: 'rw',
  isIdmapped: true,
  lowerPaths: ['/layers/node/layers'],
  workPath: '/builds/spare/layers.work',
}
const spare = (): Likeness => ({
  appId: 'shop',
  container: {
    handle: 'spare',
    image: { uri: 'stack:debian-12@sha256:a' },
    network: '10.192.0.9',
    properties: { 'croft.instance': 'spare' },
    hostname: 'build',
    noNewPrivileges: true,
    limits: { memory: { limitBytes: 2 ** 31 }, cpu: { weight: 2 }, pids: { max: 512 } },
    bindMounts: [{ srcPath: '/buildpacks', dstPath: '/cnb/buildpacks', mode: 'ro' }, layers],
  },
  netOut: [{ protocol: 'tcp', networks: [{ start: '10.1.2.3' }], ports: [{ start: 4873 }] }],
  origin: {
    ground: 'debian-12',
    isClean: false,
    previousImage: 'sha256:b',
    cache: {
      'croft/node': { npm: { types: { build: false, cache: true, launch: false }, metadata: {}, tree: 't-1' } },
    },
    buildpacks: ['croft/node'],
  },
})

/** The same but for what is told. */
function other(change: (wanted: Likeness) => object): Likeness {
  const wanted = spare()
  return { ...wanted, ...change(wanted) }
}
const inContainer = (change: Partial<Likeness['container']>): Likeness =>
  other(({ container }) => ({ container: { ...container, ...change } }))
const inOrigin = (change: Partial<Likeness['origin']>): Likeness =>
  other(({ origin }) => ({ origin: { ...origin, ...change } }))

describe('a container made in advance', () => {
  it('is taken by a build that would make the very same', () => expect(isLike(spare(), spare())).toBe(true))

  it.each<[string, Likeness]>([
    ['of another app', other(() => ({ appId: 'till' }))],
    ['on a newer base image', inContainer({ image: { uri: 'stack:debian-12@sha256:c' } })],
    ['that needs compilers', inContainer({ image: { uri: 'build:debian-12@sha256:a' } })],
    ['with more memory', inContainer({ limits: { ...spare().container.limits, memory: { limitBytes: 2 ** 32 } } })],
    ['with a quota', inContainer({ limits: { ...spare().container.limits, cpu: { weight: 2, quotaMillis: 500 } } })],
    ['with privileges', inContainer({ isPrivileged: true })],
    ['that sees one more folder', inContainer({ bindMounts: [...(spare().container.bindMounts ?? []), layers] })],
    ['that sees less', inContainer({ bindMounts: [layers] })],
    ['with other layers', inContainer({ bindMounts: [{ ...layers, lowerPaths: ['/layers/ruby/layers'] }] })],
    ['with other properties', inContainer({ properties: {} })],
    ['that is let through to another mirror', other(() => ({ netOut: [] }))],
    ['from scratch', inOrigin({ isClean: true })],
    ['after another image', inOrigin({ previousImage: 'sha256:d' })],
    ['without an image', inOrigin({ previousImage: null })],
    ['with another cache', inOrigin({ cache: {} })],
    ['with another buildpack', inOrigin({ buildpacks: ['croft/node', 'acme/own'] })],
    ['on another stack', inOrigin({ ground: 'debian-13' })],
  ])('is not taken by a build %s', (_what, wanted) => expect(isLike(spare(), wanted)).toBe(false))
})
