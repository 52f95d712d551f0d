import { describe, expect, it } from 'vitest'
import type { Buildpack } from './buildpack.js'
import { build, type BuildPort } from './build.js'
import { detect } from './detect.js'
import type { Env } from './env.js'

const buildpack = (id: string, more: Partial<Buildpack['toml']['buildpack']> = {}): Buildpack => ({
  id,
  version: '1',
  api: '0.12',
  name: id.toUpperCase(),
  directory: `/cnb/buildpacks/${id}`,
  toml: {
    api: '0.12',
    buildpack: { id, version: '1', ...more },
    metadata: { croft: { 'looks-for': `${id}.json` } },
  },
})
const target = { os: 'linux', arch: 'amd64', distroName: 'debian', distroVersion: '12' }
const group = (...ids: string[]): { group: { id: string; optional?: boolean }[] } => ({
  group: ids.map((id) => ({ id: id.replace('?', ''), ...(id.endsWith('?') && { optional: true }) })),
})

describe('detecting', () => {
  const buildpacks = [buildpack('a'), buildpack('b'), buildpack('c')]
  const exits =
    (codes: Record<string, number>, runs: string[] = []) =>
    ({ id }: Buildpack) => {
      runs.push(id)
      return Promise.resolve({ exitCode: codes[id] ?? 100, output: `${id} said\n`, plan: '' })
    }

  it('takes the first group whose required buildpacks pass, and asks each buildpack once', async () => {
    const runs: string[] = []
    const found = await detect([group('a', 'b'), group('b', 'c?')], buildpacks, target, exits({ b: 0 }, runs))
    expect(found.group.map(({ id }) => id)).toEqual(['b'])
    expect(runs.toSorted()).toEqual(['a', 'b', 'c'])
  })

  it('says what was looked for when nothing passes', async () => {
    await expect(detect([group('a'), group('b')], buildpacks, target, exits({}))).rejects.toMatchObject({
      reason: 'no-buildpack',
      title: expect.stringContaining('a.json (A), b.json (B)'),
    })
  })

  it('names a buildpack that broke, with the last thing it said', async () => {
    await expect(detect([group('a'), group('b')], buildpacks, target, exits({ a: 2 }))).rejects.toMatchObject({
      reason: 'buildpack',
      title: 'bin/detect of a failed with exit code 2: a said',
    })
  })

  it('does not ask a required buildpack that is made for another system', async () => {
    const arm = { ...buildpack('a'), toml: { ...buildpack('a').toml, targets: [{ os: 'linux', arch: 'arm64' }] } }
    const runs: string[] = []
    await expect(detect([group('a')], [arm], target, exits({ a: 0 }, runs))).rejects.toMatchObject({
      reason: 'no-buildpack',
    })
    expect(runs).toEqual([])
  })
})

describe('building', () => {
  const input = {
    entries: [],
    base: { PATH: '/bin' },
    user: { A: 'user', PATH: '/mine' },
    operator: { A: 'operator', B: 'operator' },
    layersDirectory: '/layers',
  }
  const seen: Record<string, Env> = {}
  const port = (outputs: Record<string, Partial<Awaited<ReturnType<BuildPort['readOutput']>>>>): BuildPort => ({
    runBuild: ({ id }, env) => {
      seen[id] = env
      return Promise.resolve()
    },
    readOutput: ({ id }) => Promise.resolve({ layers: new Map(), ...outputs[id] }),
    readLayerEnv: () =>
      Promise.resolve({
        folders: new Set(['bin']),
        env: new Map([['C', 'layer']]),
        envBuild: new Map([['PATH.append', ':/end']]),
      }),
  })

  it('gives a buildpack what the ones before it made, the user over the operator', async () => {
    const layers = new Map([
      ['x', '[types]\nbuild = true\n'],
      ['y', '[types]\nlaunch = true\n'],
      ['z', ''],
    ])
    const built = await build({ ...input, group: [buildpack('a'), buildpack('b')] }, port({ a: { layers } }))
    expect(seen['a']).toEqual({ PATH: '/mine:/bin', A: 'user', B: 'operator' })
    expect(seen['b']).toEqual({ PATH: '/mine:/layers/a/x/bin:/bin:/end', A: 'user', B: 'operator', C: 'layer' })
    expect(built.buildpacks[0]?.layers.map(({ name }) => name)).toEqual(['x', 'y']) // z is of no type
  })

  it('keeps the user out of a buildpack that asks for it', async () => {
    await build({ ...input, group: [buildpack('a', { 'clear-env': true })] }, port({}))
    expect(seen['a']).toEqual({ PATH: '/bin', A: 'operator', B: 'operator' })
  })

  it.each<[string, Partial<Awaited<ReturnType<BuildPort['readOutput']>>>, RegExp]>([
    ['a layer file that is no TOML', { layers: new Map([['x', '[types']]) }, /x.toml of a is not TOML/],
    [
      'a layer whose types are texts',
      { layers: new Map([['x', '[types]\nlaunch = "yes"\n']]) },
      /x.toml of a is not valid/,
    ],
    ['a name of the lifecycle', { layers: new Map([['store', '[types]\nlaunch = true\n']]) }, /a name it may not have/],
    ['an unmet name that is not in the plan', { build: '[[unmet]]\nname = "node"\n' }, /not in its plan/],
  ])('refuses %s', async (_what, output, why) => {
    await expect(build({ ...input, group: [buildpack('a')] }, port({ a: output }))).rejects.toThrow(why)
  })
})
