import { digestOf, mediaTypes, type Descriptor } from '@croft/oci'
import { describe, expect, it } from 'vitest'
import { LIFECYCLE_LABEL } from './formats/lifecycle-label.js'
import { missingSonames, rebase, sonamesOf, type NewRunImage } from './rebase.js'

const descriptor = (name: string): Descriptor => ({
  mediaType: mediaTypes.layerZstd,
  digest: digestOf(`blob ${name}`),
  size: 1,
})
const layer = (name: string) => ({ diffId: digestOf(name), descriptor: descriptor(name) })
const run: NewRunImage = {
  layers: [layer('new base'), layer('new top')],
  labels: { 'io.buildpacks.base.version': '2', distro: 'debian' },
  reference: 'sha256:new',
  name: 'stack:debian-12',
  architecture: 'amd64',
}
const lifecycle = {
  app: [{ sha: digestOf('app') }],
  buildpacks: [{ key: 'croft/node', version: '1', layers: { node: { sha: digestOf('node'), launch: true } } }],
  runImage: { topLayer: digestOf('old top'), reference: 'sha256:old', image: 'stack:debian-12' },
}
const imageWith = (label: object = lifecycle, labels: Record<string, string> = {}) => ({
  created: 'then',
  architecture: 'amd64',
  os: 'linux',
  extra: { kept: true },
  config: {
    User: '1',
    Cmd: null,
    Labels: { 'io.buildpacks.base.version': '1', mine: 'x', [LIFECYCLE_LABEL]: JSON.stringify(label), ...labels },
  },
  rootfs: { type: 'layers', diff_ids: ['old base', 'old top', 'node', 'app'].map((name) => digestOf(name)) },
  history: [1, 2, 3, 4],
})
const layers = ['old base', 'old top', 'node', 'app'].map(descriptor)

describe('a rebased image', () => {
  const { config, layers: now, formerTop } = rebase({ config: imageWith(), layers, run })
  it('has the new run image’s layers under its own, in the manifest and the configuration', () => {
    const names = ['new base', 'new top', 'node', 'app']
    expect(now).toEqual(names.map(descriptor))
    expect(config.rootfs.diff_ids).toEqual(names.map((name) => digestOf(name)))
    expect(config.history).toHaveLength(4)
    expect(config.history?.slice(2)).toEqual([3, 4])
    expect(formerTop).toBe(digestOf('old top'))
  })
  it('says what it stands on now, takes over the run image’s labels, and keeps everything else', () => {
    const { [LIFECYCLE_LABEL]: label = '', ...others } = config.config.Labels ?? {}
    expect(others).toEqual({ 'io.buildpacks.base.version': '2', distro: 'debian', mine: 'x' })
    expect(JSON.parse(label)).toMatchObject({
      app: lifecycle.app,
      buildpacks: [{ key: 'croft/node', layers: { node: { sha: digestOf('node') } } }],
      runImage: { topLayer: digestOf('new top'), reference: 'sha256:new', image: 'stack:debian-12' },
    })
    expect(config).toMatchObject({ created: 'then', extra: { kept: true }, config: { User: '1', Cmd: null } })
  })
  it('is the same when it is rebased again', () => {
    expect(rebase({ config, layers: now, run })).toMatchObject({ config, layers: now })
  })
  it.each([
    ['has no label', imageWith({}, { [LIFECYCLE_LABEL]: '' })],
    ['does not say what it stands on', imageWith({ ...lifecycle, runImage: undefined })],
    ['must not be', imageWith(lifecycle, { 'io.buildpacks.rebasable': 'false' })],
    [
      'stands on another stack',
      imageWith({ ...lifecycle, runImage: { ...lifecycle.runImage, image: 'stack:debian-11' } }),
    ],
    [
      'names a layer it does not have',
      imageWith({ ...lifecycle, runImage: { ...lifecycle.runImage, topLayer: digestOf('?') } }),
    ],
    ['is for another machine', { ...imageWith(), architecture: 'arm64' }],
    ['is no image', { config: 1 }],
  ])('is none of one that %s', (_what, config) => {
    expect(() => rebase({ config, layers, run })).toThrow('the image cannot be rebased')
  })
  it('is none of one for another distribution than the run image is now', () => {
    const on = (version: string) => imageWith(lifecycle, { 'io.buildpacks.base.distro.version': version })
    const now = { ...run, labels: { 'io.buildpacks.base.distro.version': '13' } }
    expect(() => rebase({ config: on('12'), layers, run: now })).toThrow('it is for 12, and stack:debian-12 is 13 now')
    expect(() => rebase({ config: on('13'), layers, run: now })).not.toThrow()
  })
  it('may stand on a mirror of the new run image', () => {
    const label = { ...lifecycle, runImage: { ...lifecycle.runImage, image: 'other', mirrors: ['stack:debian-12'] } }
    expect(() => rebase({ config: imageWith(label), layers, run })).not.toThrow()
  })
})

describe('shared libraries', () => {
  it('are what programs name: not the file behind, not the name for compilers', () => {
    const names = [
      'libc.so.6',
      'libssl.so.3',
      'libz.so',
      'libz.so.1',
      'libz.so.1.2.13',
      'ld-linux-x86-64.so.2',
      'readme',
      'libx-1.0.so.0.1',
    ]
    expect([...sonamesOf(names)]).toEqual([
      'libc.so.6',
      'libssl.so.3',
      'libz.so.1',
      'ld-linux-x86-64.so.2',
      'libx-1.0.so.0.1',
    ])
  })
  it('that are gone are told, a newer file behind the same name is not', () => {
    const former = ['libz.so.1', 'libz.so.1.2.13', 'libssl.so.1.1', 'libicu.so.72', 'libicu.so.72.1']
    expect(missingSonames(former, ['libz.so.1', 'libz.so.1.3', 'libssl.so.3', 'libnew.so.1'])).toEqual([
      'libicu.so.72',
      'libssl.so.1.1',
    ])
    expect(missingSonames(former, former)).toEqual([])
  })
})
