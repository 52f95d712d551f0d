import { describe, expect, it } from 'vitest'
import { parseDigest } from '@croft/kit'
import type { BuiltBuildpack, BuiltLayer } from './build.js'
import { assembleImage, type ExportInput, type ImageLayer } from './export.js'
import type { LaunchProcess } from './formats/launch-toml.js'

/** A layer by a word; its digest starts with the word in hexadecimal. */
const layer = (name: string): ImageLayer => {
  const diffId = parseDigest(`sha256:${Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64)}`)
  return { diffId, descriptor: { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', digest: diffId, size: 1 } }
}
const nameOf = (diffId: string): string =>
  Buffer.from(diffId.slice('sha256:'.length), 'hex').toString().replaceAll('\0', '')
const built = (name: string, types: Partial<BuiltLayer['types']>, metadata?: Record<string, unknown>): BuiltLayer => ({
  name,
  types: { build: false, cache: false, launch: false, ...types },
  metadata,
})
const buildpack = (id: string, layers: BuiltLayer[], more: Partial<BuiltBuildpack> = {}): BuiltBuildpack => ({
  id,
  version: '1',
  api: '0.12',
  layers,
  store: undefined,
  ...more,
})
const processOf = (type: string, isDefault = false): LaunchProcess => ({
  type,
  command: ['run', type],
  args: ['x'],
  isDirect: true,
  isDefault,
  workingDirectory: null,
  execEnv: [],
  userArguments: 'replace',
  buildpackId: 'a/b',
})
const base: ExportInput = {
  runImage: {
    layers: [layer('base')],
    env: { PATH: '/usr/bin', LANG: 'C.UTF-8' },
    user: '1002:1002',
    labels: { 'io.buildpacks.base.distro.name': 'debian' },
    reference: 'sha256:run',
    name: 'stack:debian-12',
    architecture: 'amd64',
  },
  buildpacks: [
    buildpack('a/b', [built('first', { launch: true }, { key: 1 }), built('only-build', { build: true })]),
    buildpack('c', [built('second', { launch: true, cache: true })], { store: { kept: true }, homepage: 'https://c' }),
  ],
  processes: [processOf('worker'), processOf('web')],
  labels: { mine: 'yes' },
  launchLayers: new Map([
    ['a/b', new Map([['first', layer('first')]])],
    ['c', new Map([['second', layer('second')]])],
  ]),
  sbom: null,
  app: [layer('app')],
  launcher: layer('launcher'),
  config: layer('config'),
  processTypes: layer('types'),
  layersDirectory: '/layers',
  appDirectory: '/workspace',
  execEnv: 'production',
  project: null,
}
const assembled = (more: Partial<ExportInput> = {}) => {
  const image = assembleImage({ ...base, ...more })
  const { config } = image.config
  const labels = config?.Labels ?? {}
  return {
    order: image.config.rootfs.diff_ids.map(nameOf).join(' '),
    config,
    labels,
    lifecycle: JSON.parse(labels['io.buildpacks.lifecycle.metadata'] ?? ''),
    build: JSON.parse(labels['io.buildpacks.build.metadata'] ?? ''),
    image,
  }
}

describe('an exported image', () => {
  it.each<[string, Partial<ExportInput>, string]>([
    [
      'is the run image, launch layers, the app, the launcher, its config and the process types',
      {},
      'base first second app launcher config types',
    ],
    [
      'has bills of materials before the app, and the app in slices before the rest of it',
      { sbom: layer('sbom'), app: [layer('slice1'), layer('slice2'), layer('rest')] },
      'base first second sbom slice1 slice2 rest launcher config types',
    ],
    ['holds nothing of buildpacks that make nothing', { buildpacks: [] }, 'base app launcher config types'],
  ])('%s', (_rule, more, expected) => {
    expect(assembled(more).order).toBe(expected)
  })

  it('tells in its label what it is made of, for the next build', () => {
    const { lifecycle } = assembled({ sbom: layer('sbom'), app: [layer('slice'), layer('rest')] })
    expect(lifecycle).toEqual({
      app: [{ sha: layer('slice').diffId }, { sha: layer('rest').diffId }],
      sbom: { sha: layer('sbom').diffId },
      config: { sha: layer('config').diffId },
      launcher: { sha: layer('launcher').diffId },
      'process-types': { sha: layer('types').diffId },
      buildpacks: [
        {
          key: 'a/b',
          version: '1',
          layers: { first: { sha: layer('first').diffId, data: { key: 1 }, build: false, launch: true, cache: false } },
        },
        {
          key: 'c',
          version: '1',
          layers: { second: { sha: layer('second').diffId, build: false, launch: true, cache: true } },
          store: { metadata: { kept: true } },
        },
      ],
      runImage: { topLayer: layer('base').diffId, reference: 'sha256:run', image: 'stack:debian-12' },
      stack: { runImage: { image: 'stack:debian-12' } },
    })
  })

  it('tells in another one what it can run and who built it', () => {
    expect(assembled().build).toMatchObject({
      processes: [
        { type: 'web', command: ['run', 'web'], args: ['x'], direct: true, buildpackID: 'a/b' },
        { type: 'worker' },
      ],
      buildpacks: [
        { id: 'a/b', version: '1' },
        { id: 'c', version: '1', homepage: 'https://c' },
      ],
    })
  })

  it('carries the labels of the run image and of buildpacks, the environment it is for, and what is known of the source', () => {
    expect(assembled({ project: { type: 'git' } }).labels).toMatchObject({
      'io.buildpacks.base.distro.name': 'debian',
      mine: 'yes',
      'io.buildpacks.rebasable': 'true',
      'io.buildpacks.exec-env': 'production',
      'io.buildpacks.project.metadata': '{"type":"git"}',
    })
    expect(assembled({ execEnv: '' }).labels).not.toHaveProperty('io.buildpacks.exec-env')
  })

  it('sets what the launcher needs, and starts in the app folder without a command', () => {
    expect(assembled().config).toMatchObject({
      Env: [
        'PATH=/cnb/process:/cnb/lifecycle:/usr/bin',
        'LANG=C.UTF-8',
        'CNB_LAYERS_DIR=/layers',
        'CNB_APP_DIR=/workspace',
        'CNB_PLATFORM_API=0.15',
        'CNB_DEPRECATION_MODE=quiet',
      ],
      WorkingDir: '/workspace',
      User: '1002:1002',
    })
    expect(assembled().config).not.toHaveProperty('Cmd')
  })

  it.each<[string, LaunchProcess[], string]>([
    ['the default process', [processOf('web'), processOf('other', true)], '/cnb/process/other'],
    ['web, when no buildpack chose', [processOf('worker'), processOf('web')], '/cnb/process/web'],
    ['the launcher, when there is neither', [processOf('worker')], '/cnb/lifecycle/launcher'],
  ])('starts %s', (_what, processes, entrypoint) => {
    expect(assembled({ processes }).config?.Entrypoint).toEqual([entrypoint])
  })

  it('has the same dates each time, one line of history for each layer', () => {
    const { image } = assembled()
    expect(image.config.created).toBe('1980-01-01T00:00:01Z')
    expect(image.config.history).toHaveLength(image.layers.length)
  })
})
