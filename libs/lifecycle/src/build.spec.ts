import { describe, expect, it } from 'vitest'
import type { Buildpack } from './buildpack.js'
import { build, type BuildPort, type BuildpackOutput } from './build.js'
import type { Env } from './env.js'
import type { LifecycleError } from './errors.js'
import { parseBuildpackToml } from './formats/buildpack-toml.js'

const buildpack = (id: string, more = ''): Buildpack => ({
  id,
  version: '1',
  api: '0.12',
  name: id.toUpperCase(),
  directory: `/cnb/buildpacks/${id}`,
  toml: parseBuildpackToml(`api = "0.12"\n[buildpack]\nid = "${id}"\nversion = "1"\n${more}`, id),
})
const input = {
  entries: [],
  base: { PATH: '/bin' },
  user: { A: 'user', PATH: '/mine' },
  operator: { A: 'operator', B: 'operator' },
  layersDirectory: '/layers',
}

/** A container in which every layer of buildpack `a` has a bin folder and some variables. */
class Container implements BuildPort {
  readonly seen: Record<string, Env> = {}
  readonly plans: Record<string, string> = {}
  readonly aside: string[] = []
  readonly warnings: string[] = []
  constructor(private readonly outputs: Record<string, Partial<BuildpackOutput>> = {}) {}
  runBuild({ id }: Buildpack, env: Env, plan: string): Promise<void> {
    this.seen[id] = env
    this.plans[id] = plan
    return Promise.resolve()
  }
  readOutput({ id }: Buildpack): Promise<BuildpackOutput> {
    return Promise.resolve({ layers: new Map(), sboms: [], ...this.outputs[id] })
  }
  readLayerEnv(_buildpack: Buildpack, layer: string) {
    return Promise.resolve({
      folders: new Set(['bin']),
      env: new Map([['C', layer]]),
      envBuild: new Map([['PATH.append', `:/end-${layer}`]]),
    })
  }
  putAside({ id }: Buildpack, layer: string): Promise<void> {
    this.aside.push(`${id}/${layer}`)
    return Promise.resolve()
  }
  warn(text: string): void {
    this.warnings.push(text)
  }
}
const layers = (types: Record<string, string>): Map<string, string> =>
  new Map(Object.entries(types).map(([name, lines]) => [name, lines === '' ? '' : `[types]\n${lines}`]))

describe('building', () => {
  it('gives a buildpack what the ones before it made, the user over the operator', async () => {
    const container = new Container({ a: { layers: layers({ x: 'build = true', y: 'launch = true', z: '' }) } })
    const built = await build({ ...input, group: [buildpack('a'), buildpack('b')] }, container)
    expect(container.seen['a']).toEqual({ PATH: '/mine:/bin', A: 'user', B: 'operator' })
    expect(container.seen['b']).toEqual({
      PATH: '/mine:/layers/a/x/bin:/bin:/end-x',
      A: 'user',
      B: 'operator',
      C: 'x',
    })
    expect(built.buildpacks[0]?.layers.map(({ name }) => name)).toEqual(['x', 'y'])
  })

  it('lets the last of two layers in name order stand first in the path and win', async () => {
    const container = new Container({ a: { layers: layers({ y: 'build = true', x: 'build = true' }) } })
    await build({ ...input, user: {}, group: [buildpack('a'), buildpack('b')] }, container)
    expect(container.seen['b']).toMatchObject({ PATH: '/layers/a/y/bin:/layers/a/x/bin:/bin:/end-x:/end-y', C: 'y' })
  })

  it('puts layers aside that say no type, or only false', async () => {
    const none = { x: '', y: 'build = false\nlaunch = false\ncache = false', z: 'cache = true' }
    const container = new Container({ a: { layers: layers(none) } })
    await build({ ...input, group: [buildpack('a')] }, container)
    expect(container.aside).toEqual(['a/x', 'a/y'])
  })

  it('keeps the user out of a buildpack that asks for it', async () => {
    const container = new Container()
    await build({ ...input, group: [buildpack('a', 'clear-env = true')] }, container)
    expect(container.seen['a']).toEqual({ PATH: '/bin', A: 'operator', B: 'operator' })
  })

  it('asks each buildpack for what those before it did not provide', async () => {
    const entry = (name: string, ...ids: string[]) => ({
      name,
      providers: ids.map((id) => ({ id, version: '1' })),
      requires: [{ name, metadata: { of: name } }],
    })
    const container = new Container({ a: { build: '[[unmet]]\nname = "y"\n' } })
    const entries = [entry('x', 'a', 'b'), entry('y', 'a', 'b')]
    await build({ ...input, entries, group: [buildpack('a'), buildpack('b')] }, container)
    expect(container.plans['a']).toMatch(/name = "x"[^]*of = "x"[^]*name = "y"/)
    expect(container.plans['b']).not.toContain('"x"')
    expect(container.plans['b']).toContain('name = "y"')
  })

  it('gathers processes, labels, slices and the store of all', async () => {
    const launch = (more: string): string =>
      `[[processes]]\ntype = "web"\ncommand = ["x"]\n[[slices]]\npaths = ["${more}"]\n[[labels]]\nkey = "l"\nvalue = "${more}"\n`
    const container = new Container({
      a: { launch: launch('one'), store: '[metadata]\nkept = 1\n' },
      b: { launch: launch('two') },
    })
    const built = await build({ ...input, group: [buildpack('a', 'homepage = "h"'), buildpack('b')] }, container)
    expect(built).toMatchObject({
      labels: { l: 'two' },
      slices: [{ paths: ['one'] }, { paths: ['two'] }],
      processes: [{ type: 'web', buildpackId: 'b' }],
      buildpacks: [{ homepage: 'h', store: { kept: 1 } }, { store: undefined }],
    })
  })

  it('says that an old buildpack has no working directories', async () => {
    const old: Buildpack = { ...buildpack('a'), api: '0.7' }
    const launch = '[[processes]]\ntype = "web"\ncommand = "x"\nworking-dir = "/y"\n'
    const container = new Container({ a: { launch } })
    const built = await build({ ...input, group: [old] }, container)
    expect(built.processes).toMatchObject([{ workingDirectory: null }])
    expect(container.warnings).toEqual([expect.stringContaining('working-dir of "web" is ignored')])
  })

  it.each<[string, Partial<BuildpackOutput>, RegExp]>([
    ['a layer file that is no TOML', { layers: new Map([['x', '[types']]) }, /^x.toml of a, line 1: not TOML/],
    [
      'a type that is a text',
      { layers: layers({ x: 'build = true\nlaunch = "yes"' }) },
      /^x.toml of a, line 3: types.launch/,
    ],
    [
      'types at the top of a layer file',
      { layers: new Map([['x', 'launch = true\n']]) },
      /belong into the table \[types\]/,
    ],
    ['a name of the lifecycle', { layers: layers({ store: 'launch = true' }) }, /a name it may not have/],
    ['a name that leads elsewhere', { layers: layers({ '..': 'launch = true' }) }, /a name it may not have/],
    [
      'a type that leads elsewhere',
      { launch: '[[processes]]\ntype = ".."\ncommand = ["x"]\n' },
      /a process type is made of/,
    ],
    ['a store that is no TOML', { store: '[metadata' }, /^store.toml of a, line 1/],
    ['an unmet name that is not in the plan', { build: '[[unmet]]\nname = "node"\n' }, /not in its plan/],
    ['an unmet entry without a name', { build: '[[unmet]]\nname = ""\n' }, /unmet.0.name: is required/],
    ['a bill of materials in an old form', { build: '[[bom]]\nname = "x"\nversion = "1"\n' }, /belongs into metadata/],
    ['a launch file in an old form', { launch: '[[bom]]\nname = "x"\nversion = "1"\n' }, /belongs into metadata/],
  ])('refuses %s', async (_what, output, why) => {
    const failed = build({ ...input, group: [buildpack('a')] }, new Container({ a: output }))
    await expect(failed).rejects.toThrow(why)
    const { phase, exitCode } = (await failed.catch((error: unknown) => error)) as LifecycleError
    expect({ phase, exitCode }).toEqual({ phase: 'build', exitCode: 52 })
  })
})
