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
  it('leaves what nobody counts on alone', () => {
    expect(parse({ name: 'x', environments: { test: {} }, scripts: { test: 'x' }, cron: [], addons: [] })).toEqual({
      checks: {},
      formation: {},
      env: [],
      ignored: [],
    })
  })
  it('reads config vars as texts or with what they are for', () => {
    const { env, ignored } = parse({
      env: { A: 'x', N: 5, S: { generator: 'secret', description: 'signs' }, R: { required: false }, PORT: '1' },
    })
    const plain = { description: '', value: null, isGenerated: false, isRequired: true, isSynced: false }
    expect(env).toEqual([
      { ...plain, name: 'A', value: 'x' },
      { ...plain, name: 'N', value: '5' },
      { ...plain, name: 'S', isGenerated: true, description: 'signs' },
      { ...plain, name: 'R', isRequired: false },
    ])
    expect(ignored).toEqual(['app.json: env.PORT is set by the platform'])
  })
  it('tells what of it is not run and not read', () => {
    const scripts = { postdeploy: 'x', dokku: { predeploy: 'y', postdeploy: 'z' }, 'pr-predestroy': 'w' }
    expect(parse({ scripts, cron: [{}], addons: ['pg'], buildpacks: [{ url: 'x' }] }).ignored).toEqual([
      'app.json: cron, scripts.postdeploy, scripts.dokku.predeploy, scripts.dokku.postdeploy are not run by this version of Croft',
      'app.json: addons, buildpacks are not read by this version of Croft',
    ])
    expect(parse({ scripts: { postdeploy: 'x' } }).ignored).toEqual([
      'app.json: scripts.postdeploy is not run by this version of Croft',
    ])
  })
  it.each([
    ['{\n', /^app\.json, line 1: not JSON: /],
    ['[]', /^app\.json, line 1: the document: /],
    ['{\n"formation": {\n"web": {\n"quantity": -1 } } }', /^app\.json, line 4: formation\.web\.quantity: /],
    ['{"healthchecks": {\n"web": [\n{ "path": "health" }] } }', /^app\.json, line 3: healthchecks\.web\.0\.path: /],
    [
      '{"healthchecks": { "web": [\n{\n"command": ["id"] }] } }',
      /^app\.json, line 3: healthchecks\.web\.0\.command: command checks are not supported/,
    ],
    ['{"env": {\n"A": "x",\n"a-b": "x"}}', /^app\.json, line 3: env\.a-b: is not a name of an environment variable/],
    ['{"env": {\n"A": { "generator":\n"uuid"}}}', /^app\.json, line 2: env\.A\.generator: only "secret" is known/],
    ['{"env": {\n"A": null}}', /^app\.json, line 2: env\.A: /],
    ['{"env": {\n"A": "x\\u0000"}}', /^app\.json, line 2: env\.A\.value: has a NUL character/],
    ['{\n"scripts": []}', /^app\.json, line 2: scripts: /],
  ])('%j is refused with line, member and rule', (text, says) => {
    expect(() => parseAppManifest(text)).toThrow(ManifestError)
    expect(() => parseAppManifest(text)).toThrow(says)
  })
  it('is refused with its line when it gives more than an environment holds', () => {
    const text = `{\n"env": {"A": "${'x'.repeat(65_000)}",\n"B": "${'x'.repeat(1_000)}"}}`
    expect(() => parseAppManifest(text)).toThrow(
      'app.json, line 2: env: would be 66006 bytes in all; 65536 is the most',
    )
  })
})
