import { describe, expect, it } from 'vitest'
import type { LifecycleError } from '../errors.js'
import { parseBuilderImage } from './builder-image.js'

const diffId = `sha256:${'a'.repeat(64)}`
const LABELS = {
  'io.buildpacks.stack.id': 'acme.base',
  'io.buildpacks.builder.metadata': {
    stack: { runImage: { image: 'acme/run:1', mirrors: ['mirror.acme/run:1'] } },
    images: [{ image: 'acme/run:1', mirrors: null }],
    lifecycle: { version: '0.20.0' },
  },
  'io.buildpacks.buildpack.order': [{ group: [{ id: 'acme/hello', version: '1.0', optional: true }] }],
  'io.buildpacks.buildpack.layers': {
    'acme/hello': { '1.0': { api: '0.10', layerDiffID: diffId, homepage: 'https://x' }, '0.9': { api: '0.7' } },
  },
}
const ENV = { CNB_USER_ID: '1000', CNB_GROUP_ID: '1001', PATH: '/bin' }
function parse(labels: Record<string, unknown> = {}, env: Record<string, string> = ENV) {
  const texts = Object.entries({ ...LABELS, ...labels }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, typeof value === 'string' ? value : JSON.stringify(value)]],
  )
  return parseBuilderImage('acme/builder:1', { env, labels: Object.fromEntries(texts) })
}

describe('a builder image', () => {
  it('says what builds run as, which buildpacks in which order, and what images stand on', () => {
    expect(parse()).toEqual({
      stackId: 'acme.base',
      user: { uid: 1000, gid: 1001 },
      runImages: ['acme/run:1', 'mirror.acme/run:1'],
      order: [{ group: [expect.objectContaining({ id: 'acme/hello', version: '1.0', optional: true })] }],
      buildpacks: [
        { id: 'acme/hello', version: '1.0', api: '0.10', diffId },
        { id: 'acme/hello', version: '0.9', api: '0.7', diffId: null },
      ],
    })
  })

  it('need not name a stack, nor a run image in its labels', () => {
    const metadata = { 'io.buildpacks.builder.metadata': { stack: {}, images: null } }
    expect(parse({ ...metadata, 'io.buildpacks.stack.id': undefined })).toMatchObject({ stackId: '', runImages: [] })
    expect(
      parse({ 'io.buildpacks.extension.layers': {}, 'io.buildpacks.buildpack.order-extensions': 'null' }),
    ).toBeDefined()
  })

  it.each<[string, Record<string, unknown>, Record<string, string>, RegExp]>([
    [
      'lacks its labels',
      { 'io.buildpacks.builder.metadata': undefined },
      ENV,
      /is no builder image: .*builder\.metadata/,
    ],
    [
      'lacks its order',
      { 'io.buildpacks.buildpack.order': undefined, 'io.buildpacks.buildpack.layers': undefined },
      ENV,
      /no label io\.buildpacks\.buildpack\.order, io\.buildpacks\.buildpack\.layers$/,
    ],
    ['has a label that is not JSON', { 'io.buildpacks.buildpack.order': '[' }, ENV, /order that is not JSON/],
    [
      'has a label of another form',
      { 'io.buildpacks.buildpack.order': [{ group: [{ version: '1' }] }] },
      ENV,
      /order that breaks a rule: 0\.group\.0\.id: /,
    ],
    ['has image extensions', { 'io.buildpacks.extension.layers': { 'a/b': { '1': {} } } }, ENV, /has image extensions/],
    [
      'orders image extensions',
      { 'io.buildpacks.buildpack.order-extensions': [{ group: [] }] },
      ENV,
      /has image extensions/,
    ],
    [
      'holds a buildpack of an API nobody speaks',
      { 'io.buildpacks.buildpack.layers': { 'a/b': { '1': { api: '0.5' } } } },
      ENV,
      /a\/b@1 of buildpack API 0\.5/,
    ],
    [
      'leads out of the folder of buildpacks',
      { 'io.buildpacks.buildpack.layers': { '..': { '1': { api: '0.10' } } } },
      ENV,
      /names a buildpack "\.\.@1"/,
    ],
    ['does not say whom builds run as', {}, { CNB_USER_ID: '1000' }, /does not say CNB_GROUP_ID/],
    ['builds as root', {}, { ...ENV, CNB_USER_ID: '0' }, /says CNB_USER_ID=0/],
  ])('that %s is refused', (_what, labels, env, why) => {
    const refused = ((): LifecycleError | null => {
      try {
        parse(labels, env)
        return null
      } catch (error) {
        return error as LifecycleError
      }
    })()
    expect(refused?.title).toMatch(/acme\/builder:1/)
    expect(refused?.title).toMatch(why)
    expect(refused?.suggestion).not.toBe('')
  })
})
