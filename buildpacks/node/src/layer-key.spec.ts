import { describe, expect, it } from 'vitest'
import { dependencyKey, groundKey, type KeyInputs } from './layer-key.js'
import { buildScript, hasLocalDependencies, parsePackageJson } from './package-json.js'

const app = (more: object): KeyInputs['app'] =>
  parsePackageJson(
    JSON.stringify({
      dependencies: { express: '^5' },
      devDependencies: { vite: '^8' },
      scripts: { start: 'node x' },
      ...more,
    }),
  )
const inputs: KeyInputs = {
  app: app({}),
  lock: '{}',
  reads: {},
  nodeVersion: '24.21.0',
  tool: 'npm@11.19.1',
  nodeEnv: 'production',
  withDev: false,
  platform: 'debian-12-x64',
}
const differs = (change: Partial<KeyInputs>): boolean =>
  dependencyKey({ ...inputs, ...change }) !== dependencyKey(inputs)

describe('the key of installed dependencies', () => {
  it.each<[string, Partial<KeyInputs>]>([
    ['the lock file', { lock: '{"a":1}' }],
    ['another file the manager reads', { reads: { '.npmrc': '0' } }],
    ['a dependency', { app: app({ dependencies: { express: '^4' } }) }],
    ['overrides', { app: app({ overrides: { qs: '6' } }) }],
    ['a script that belongs to an install', { app: app({ scripts: { postinstall: 'x' } }) }],
    ['the version of Node', { nodeVersion: '22.1.0' }],
    ['the version of the manager', { tool: 'npm@12.0.0' }],
    ['resolutions of yarn', { app: app({ resolutions: { qs: '6' } }) }],
    ['settings of pnpm', { app: app({ pnpm: { overrides: { qs: '6' } } }) }],
    ['NODE_ENV', { nodeEnv: 'development' }],
    ['whether development dependencies are installed', { withDev: true }],
    ['the distribution', { platform: 'debian-13-x64' }],
  ])('changes with %s', (_what, change) => {
    expect(differs(change)).toBe(true)
  })

  it.each<[string, Partial<KeyInputs>]>([
    ['a start script', { app: app({ scripts: { start: 'node y' } }) }],
    ['the version of the app', { app: app({ version: '2.0.0' }) }],
    ['a development dependency that is not installed', { app: app({ devDependencies: {} }) }],
  ])('stays with %s', (_what, change) => {
    expect(differs(change)).toBe(false)
  })
})

describe('the ground on which packages may be added', () => {
  const moves = (change: Partial<KeyInputs>): boolean => groundKey({ ...inputs, ...change }) !== groundKey(inputs)

  it.each<[string, Partial<KeyInputs>]>([
    ['the lock file', { lock: '{"a":1}' }],
    ['the dependencies', { app: app({ dependencies: { express: '^5', ms: '2' } }) }],
  ])('stays with %s', (_what, change) => expect(moves(change)).toBe(false))

  it.each<[string, Partial<KeyInputs>]>([
    ['overrides', { app: app({ overrides: { qs: '6' } }) }],
    ['another file the manager reads', { reads: { '.npmrc': '0' } }],
    ['a script that belongs to an install', { app: app({ scripts: { postinstall: 'x' } }) }],
    ['the version of Node', { nodeVersion: '22.1.0' }],
    ['the version of the manager', { tool: 'npm@12.0.0' }],
    ['NODE_ENV', { nodeEnv: 'development' }],
    ['the distribution', { platform: 'debian-13-x64' }],
  ])('moves with %s', (_what, change) => expect(moves(change)).toBe(true))
})

describe('package.json', () => {
  it('is refused in words of its own when it is broken', () => {
    const malformed: [string, RegExp][] = [
      ['{"a":\n', /^package\.json, line 1: not JSON: /],
      ['{\n"a": 1\n"b": 2}', /^package\.json, line 3: not JSON: Expected ','/],
      ['[]', /^package\.json, line 1: has to be an object/],
      ['{\n"scripts": "x"}', /^package\.json, line 2: scripts has to be an object/],
      ['{\n"dependencies": {\n"a": "1",\n"b": 2}}', /^package\.json, line 4: dependencies\.b has to be a text/],
    ]
    for (const [text, why] of malformed) expect(() => parsePackageJson(text)).toThrow(why)
  })

  it('names the script that builds the app', () => {
    expect(buildScript({ build: 'a', 'heroku-postbuild': 'b' })).toBe('heroku-postbuild')
    expect(buildScript({ build: 'a' })).toBe('build')
    expect(buildScript({ start: 'a' })).toBeNull()
  })

  it.each([
    ['workspaces', { workspaces: ['packages/*'] }, true],
    ['a folder', { dependencies: { a: 'file:../a' } }, true],
    ['a path', { devDependencies: { a: './a' } }, true],
    ['another workspace', { dependencies: { a: 'workspace:*' } }, true],
    ['a patch of yarn', { dependencies: { a: 'patch:a@npm%3A1.0.0#~/.yarn/patches/a.patch' } }, false],
    ['a patch elsewhere', { dependencies: { a: 'patch:a@npm%3A1.0.0#./a.patch' } }, true],
    ['a registry package', { dependencies: { a: '^1' } }, false],
    ['a git repository', { dependencies: { a: 'git+https://example.org/a.git' } }, false],
  ])('knows whether %s lies in the app', (_what, more, expected) => {
    expect(hasLocalDependencies(parsePackageJson(JSON.stringify(more)))).toBe(expected)
  })
})
