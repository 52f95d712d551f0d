import { describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS, serviceSpec, type SpecSource } from './service-spec.js'

const source: SpecSource = {
  appName: 'shop',
  type: 'web',
  slot: 2,
  limits: DEFAULT_LIMITS,
  settings: {},
  release: {
    version: 12,
    image: 'sha256:aa',
    processTypes: {
      web: { command: 'node web.js', argv: ['/cnb/process/web'] },
      worker: { command: 'node worker.js', argv: ['/cnb/process/worker'] },
    },
    checks: {},
  },
  config: { GREETING: 'hello' },
}

describe('the spec of an instance', () => {
  it('has the config of its release and the four variables of the platform, which nothing overrides', () => {
    const spec = serviceSpec({ ...source, config: { GREETING: 'hello', PORT: '1', CROFT_APP: 'other' } })
    expect(spec?.env).toEqual({
      GREETING: 'hello',
      PORT: '8080',
      CROFT_APP: 'shop',
      CROFT_INSTANCE: 'web.2',
      CROFT_RELEASE: 'v12',
    })
  })

  it('of the type with traffic has a port that must accept, unless app.json says otherwise', () => {
    expect(serviceSpec(source)).toMatchObject({
      port: 8080,
      health: { kind: 'port' },
      bootTimeoutMs: 60_000,
      graceMs: 30_000,
    })
    const health = { kind: 'http', path: '/up', intervalMs: 1_000, timeoutMs: 1_000 } as const
    const declared = { ...source, release: { ...source.release, checks: { web: health } } }
    expect(serviceSpec(declared)?.health).toEqual(health)
  })

  it('of another type has no port, and no check that would need one', () => {
    const checks = { worker: { kind: 'http', path: '/up', intervalMs: 1_000, timeoutMs: 1_000 } } as const
    const spec = serviceSpec({ ...source, type: 'worker', release: { ...source.release, checks } })
    expect(spec).toMatchObject({ port: null, health: { kind: 'uptime' }, command: ['/cnb/process/worker'] })
  })

  it.each([
    ['a release without an image', { release: { ...source.release, image: null } }],
    ['a process type the release does not have', { type: 'clock' }],
    ['a name every object has', { type: 'constructor' }],
  ])('is nothing for %s', (_what, change) => {
    expect(serviceSpec({ ...source, ...change })).toBeNull()
  })

  it('takes the time-outs from the settings of the app', () => {
    expect(serviceSpec({ ...source, settings: { bootTimeoutMs: 5_000, graceMs: 0 } })).toMatchObject({
      bootTimeoutMs: 5_000,
      graceMs: 0,
    })
  })
})
