import { describe, expect, it } from 'vitest'
import { envList, inheritedEnv, withBuildRoots, withEnvFiles, withUserEnv, type Env } from './env.js'
import { buildpackEnv, interfaceEnv } from './interface-env.js'
import { parseBuildpackToml } from './formats/buildpack-toml.js'

describe('the files of an env folder', () => {
  it.each<[string, Env, Record<string, string>, string | undefined]>([
    ['a name without suffix replaces', { A: 'old' }, { A: 'new' }, 'new'],
    ['a name without suffix pays no heed to a delimiter', { A: 'old' }, { A: 'new', 'A.delim': ':' }, 'new'],
    ['a name without suffix sets what nobody set', {}, { A: 'new' }, 'new'],
    ['override replaces', { A: 'old' }, { 'A.override': 'new' }, 'new'],
    ['override sets what nobody set', {}, { 'A.override': 'new' }, 'new'],
    ['prepend joins with nothing unless a delimiter is named', { A: 'old' }, { 'A.prepend': 'new' }, 'newold'],
    ['prepend uses the delimiter of its folder', { A: 'old' }, { 'A.prepend': 'new', 'A.delim': '[]' }, 'new[]old'],
    ['prepend puts no delimiter before nothing', {}, { 'A.prepend': 'new', 'A.delim': '[]' }, 'new'],
    ['append joins with nothing unless a delimiter is named', { A: 'old' }, { 'A.append': 'new' }, 'oldnew'],
    ['append uses the delimiter too', { A: 'old' }, { 'A.append': 'new', 'A.delim': '[]' }, 'old[]new'],
    ['append puts no delimiter behind nothing', { A: '' }, { 'A.append': 'new', 'A.delim': ':' }, 'new'],
    [
      'both may stand beside each other',
      { A: 'old' },
      { 'A.append': 'z', 'A.prepend': 'a', 'A.delim': ':' },
      'a:old:z',
    ],
    ['default counts for a variable nobody set', {}, { 'A.default': 'new' }, 'new'],
    ['default counts for an empty variable', { A: '' }, { 'A.default': 'new' }, 'new'],
    ['default gives way to a value', { A: 'old' }, { 'A.default': 'new' }, 'old'],
    ['an unknown suffix is ignored', { A: 'old' }, { 'A.ignore': 'new' }, 'old'],
    ['a suffix is all behind the first dot', { A: 'old' }, { 'A.append.x': 'new' }, 'old'],
    ['a delimiter alone changes nothing', { A: 'old' }, { 'A.delim': ':' }, 'old'],
    ['nothing is trimmed', {}, { A: 'new\n' }, 'new\n'],
    ['names are told apart by case', { a: 'old' }, { A: 'new' }, 'new'],
  ])('%s', (_rule, env, files, expected) => {
    expect(withEnvFiles(env, new Map(Object.entries(files)))['A']).toBe(expected)
  })

  it('means a default by a bare name when the operator says it', () => {
    expect(withEnvFiles({ A: 'old' }, new Map([['A', 'new']]), 'default')['A']).toBe('old')
    expect(withEnvFiles({}, new Map([['A', 'new']]), 'default')['A']).toBe('new')
  })
})

describe('the environment a build starts from', () => {
  it('holds of the surroundings what buildpacks may rely on, and nothing else', () => {
    const kept: Env = {
      CNB_STACK_ID: 'x',
      HOSTNAME: 'x',
      HOME: '/home',
      HTTPS_PROXY: 'x',
      https_proxy: 'x',
      HTTP_PROXY: 'x',
      http_proxy: 'x',
      NO_PROXY: 'x',
      no_proxy: 'x',
      PATH: '/bin',
      LD_LIBRARY_PATH: '/lib',
      LIBRARY_PATH: '/lib',
      CPATH: '/include',
      PKG_CONFIG_PATH: '/pkg',
    }
    expect(inheritedEnv({ ...kept, SECRET: 'x', CNB_REGISTRY_AUTH: 'x' })).toEqual(kept)
  })

  it('is handed to programs as it is, equal signs and all', () => {
    expect(envList(inheritedEnv({ CNB_STACK_ID: 'included=true' }))).toEqual(['CNB_STACK_ID=included=true'])
  })
})

describe('the environment of a build', () => {
  it('puts a user value before path variables and over all others', () => {
    const env = { PATH: '/bin', LD_LIBRARY_PATH: '/a:/b', A: 'old', EMPTY: '' }
    expect(withUserEnv(env, { PATH: '/mine', LD_LIBRARY_PATH: '/c', LIBRARY_PATH: '/d', A: 'new', B: 'b' })).toEqual({
      PATH: '/mine:/bin',
      LD_LIBRARY_PATH: '/c:/a:/b',
      LIBRARY_PATH: '/d',
      A: 'new',
      B: 'b',
      EMPTY: '',
    })
  })

  it.each<[string, Env, string[], Env]>([
    [
      'before what there is',
      { PATH: '/bin', LD_LIBRARY_PATH: '/ld', LIBRARY_PATH: '/l' },
      ['bin', 'lib'],
      { PATH: '/layer/bin:/bin', LD_LIBRARY_PATH: '/layer/lib:/ld', LIBRARY_PATH: '/layer/lib:/l' },
    ],
    [
      'alone where there is nothing',
      {},
      ['bin', 'lib', 'include', 'pkgconfig'],
      {
        PATH: '/layer/bin',
        LD_LIBRARY_PATH: '/layer/lib',
        LIBRARY_PATH: '/layer/lib',
        CPATH: '/layer/include',
        PKG_CONFIG_PATH: '/layer/pkgconfig',
      },
    ],
    ['only those that are there', { PATH: '/bin' }, ['share'], { PATH: '/bin' }],
  ])('puts the folders of a build layer %s', (_rule, env, folders, expected) => {
    expect(withBuildRoots(env, '/layer', new Set(folders))).toEqual(expected)
  })

  const toml = (more: string) => parseBuildpackToml(`api="0.12"\n[buildpack]\nid="a"\nversion="1"\n${more}`, 'x')
  it('lets the operator add to what the user says, never replace it unless he says so', () => {
    const user = { DNE: 'user', PLATFORM: 'user', CHANGE: 'user', OVERRIDE: 'user' }
    const operator = {
      NORMAL: 'operator',
      'OVERRIDE.override': 'operator',
      'DNE.default': 'operator',
      'EXIST.default': 'operator',
      SET: 'operator',
      'CHANGE.prepend': 'operator',
      'CHANGE.delim': ':',
      'CHANGE.append': 'end',
    }
    const shared = { EXIST: 'old', SET: 'old', EMPTY: '' }
    expect(buildpackEnv(shared, { toml: toml('') }, user, operator)).toEqual({
      CHANGE: 'operator:user:end',
      DNE: 'user',
      EMPTY: '',
      EXIST: 'old',
      NORMAL: 'operator',
      OVERRIDE: 'operator',
      PLATFORM: 'user',
      SET: 'old',
    })
  })

  it('keeps the user out of a buildpack that asks for it, not the operator', () => {
    const clear = { toml: toml('clear-env = true') }
    expect(buildpackEnv({ A: 'old' }, clear, { A: 'user', B: 'user' }, { C: 'operator' })).toEqual({
      A: 'old',
      C: 'operator',
    })
  })
})

describe('what the programs of a buildpack are told', () => {
  const target = { os: 'linux', arch: 'arm64', archVariant: 'v8', distroName: 'debian', distroVersion: '12' }
  const told = { target, execEnv: 'production', platform: '/platform' }
  const PATHS = ['CNB_PLATFORM_DIR', 'CNB_BUILD_PLAN_PATH']
  const BUILD = ['CNB_PLATFORM_DIR', 'CNB_BP_PLAN_PATH', 'CNB_LAYERS_DIR']
  const TARGET = ['OS', 'ARCH', 'ARCH_VARIANT', 'DISTRO_NAME', 'DISTRO_VERSION'].map((name) => `CNB_TARGET_${name}`)
  it.each<[string, string[], string[]]>([
    ['0.7', [], []],
    ['0.8', PATHS, BUILD],
    ['0.9', PATHS, BUILD],
    ['0.10', [...PATHS, ...TARGET], [...BUILD, ...TARGET]],
    ['0.11', [...PATHS, ...TARGET], [...BUILD, ...TARGET]],
    ['0.12', [...PATHS, ...TARGET, 'CNB_EXEC_ENV'], [...BUILD, ...TARGET, 'CNB_EXEC_ENV']],
  ])('of API %s', (api, atDetect, atBuild) => {
    const buildpack = { api, directory: '/cnb/buildpacks/a' }
    const detect = interfaceEnv(buildpack, told, { plan: '/plan' })
    const build = interfaceEnv(buildpack, told, { buildpackPlan: '/plan', layers: '/layers/a' })
    expect(Object.keys(detect)).toEqual(['CNB_BUILDPACK_DIR', ...atDetect])
    expect(Object.keys(build)).toEqual(['CNB_BUILDPACK_DIR', ...atBuild])
    expect(detect['CNB_BUILDPACK_DIR']).toBe('/cnb/buildpacks/a')
  })

  it('leaves out what is not known', () => {
    const bare = {
      target: { os: 'linux', arch: 'amd64', distroName: '', distroVersion: '' },
      execEnv: '',
      platform: '/p',
    }
    expect(Object.keys(interfaceEnv({ api: '0.12', directory: '/a' }, bare, { plan: '/plan' }))).toEqual([
      'CNB_BUILDPACK_DIR',
      'CNB_PLATFORM_DIR',
      'CNB_BUILD_PLAN_PATH',
      'CNB_TARGET_OS',
      'CNB_TARGET_ARCH',
    ])
  })
})
