import { describe, expect, it } from 'vitest'
import { ManifestError, parseAppManifest } from './app-manifest.js'

const parse = (value: unknown) => parseAppManifest(JSON.stringify(value))

describe('app.json', () => {
  it('gives quantities of the formation', () => {
    expect(parse({ formation: { web: { quantity: 2, size: 'basic' }, worker: {} } }).formation).toEqual({ web: 2 })
  })
  it.each([
    [
      { type: 'startup', path: '/health' },
      { kind: 'http', path: '/health', intervalMs: 1_000, timeoutMs: 5_000 },
    ],
    [
      { path: '/', wait: 3, timeout: 9 },
      { kind: 'http', path: '/', intervalMs: 3_000, timeoutMs: 9_000 },
    ],
    [
      { type: 'startup', listening: true },
      { kind: 'port', intervalMs: 1_000, timeoutMs: 5_000 },
    ],
    [
      { type: 'startup', uptime: 10 },
      { kind: 'uptime', uptimeMs: 10_000 },
    ],
  ])('reads the check %j', (check, expected) => {
    expect(parse({ healthchecks: { web: [check] } }).checks).toEqual({ web: expected })
  })
  it('takes the start-up check among several and leaves liveness alone', () => {
    const checks = [
      { type: 'liveness', path: '/live' },
      { type: 'startup', path: '/ready' },
    ]
    expect(parse({ healthchecks: { web: checks } }).checks['web']).toMatchObject({ path: '/ready' })
    expect(parse({ healthchecks: { web: [{ type: 'liveness', path: '/live' }] } }).checks).toEqual({})
  })
  it('leaves what Croft does not read alone', () => {
    expect(parse({ name: 'x', env: { A: { required: true } }, addons: ['y'] })).toEqual({ checks: {}, formation: {} })
  })
  it.each([
    ['{', /not JSON/],
    ['[]', /app\.json/],
    [JSON.stringify({ formation: { web: { quantity: -1 } } }), /formation\.web\.quantity/],
    [JSON.stringify({ healthchecks: { web: [{ path: 'health' }] } }), /healthchecks\.web/],
    [JSON.stringify({ healthchecks: { web: [{ command: ['sh', '-c', 'id'] }] } }), /command checks are not supported/],
  ])('%s is refused by name', (text, says) => {
    expect(() => parseAppManifest(text)).toThrow(ManifestError)
    expect(() => parseAppManifest(text)).toThrow(says)
  })
})
