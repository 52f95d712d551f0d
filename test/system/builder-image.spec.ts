import type { LayerEntry } from '@croft/oci'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BuildController } from '../../apps/executor/src/build/ports.js'
import { buildNeeds } from './support/build-needs.js'
import { failed, succeeded, type Pushed } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import { builderParts, imageOnStack, inBuilder, RUNS_AS, type Made } from './support/builder-images.js'

/** A builder image whose buildpacks build an app on it, and the run image that the app stands on. */

const BUILDER = 'registry.acme.example/builders/base:1'
const RUN = 'registry.acme.example/run/base:1'
const HELLO = `#!/bin/sh
set -eu
echo "built by $(id -u):$(id -g) in $HOME on $CNB_STACK_ID for $CNB_TARGET_DISTRO_NAME, tool $(build-tool)"
layer="$CNB_LAYERS_DIR/words"
echo "kept $(cat "$layer/count" 2>/dev/null || echo 0) times before"
mkdir -p "$layer"
echo $(($(cat "$layer/count" 2>/dev/null || echo 0) + 1)) >"$layer/count"
printf '[types]\\nlaunch = true\\ncache = true\\nbuild = true\\n' >"$layer.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["sh", "-c", "cat hello.txt /etc/run-marker"]\\n' >"$CNB_LAYERS_DIR/launch.toml"
`
const isLong = process.env['CROFT_TEST_LONG'] === '1'
const needs = buildNeeds()
let rig: BuildRig
/** What references stand for at this moment. */
const published = new Map<string, Made>()
/** References that were asked for. */
const asked: string[] = []
const image: BuildController['image'] = (_build, reference) => {
  asked.push(reference)
  const [name = '', pinned] = reference.split('@')
  const digest = pinned ?? published.get(name)?.digest
  return Promise.resolve(
    digest === undefined
      ? { refusal: { title: `${reference} was not pulled: not found`, suggestion: 'check the reference' } }
      : { image: digest as never },
  )
}
const app = (n: number): string => `01890000-0000-7000-8000-0000000000${String(n).padStart(2, '0')}`
const build = (options: object = {}, files: Record<string, string> = { 'hello.txt': 'hello\n' }): Promise<Pushed> =>
  rig.build(files, { appId: app(1), wishes: { builder: BUILDER }, image, ...options })

async function publishRun(
  text: string,
  more: { files?: LayerEntry[]; labels?: Record<string, string> } = {},
): Promise<void> {
  const { files = [], labels = {} } = more
  const marker: LayerEntry = { kind: 'file', path: '/etc/run-marker', content: text }
  published.set(RUN, await imageOnStack(rig, { files: [marker, ...files], user: 'runner', labels }))
}
async function publishBuilder(
  change: Partial<Parameters<typeof imageOnStack>[1]> = {},
  reference = BUILDER,
): Promise<void> {
  const files: LayerEntry[] = [
    ...inBuilder('acme/hello', '1.0', HELLO),
    { kind: 'file', path: '/usr/local/bin/build-tool', content: '#!/bin/sh\necho there\n', isExecutable: true },
  ]
  published.set(reference, await imageOnStack(rig, { files, ...builderParts('acme/hello', '1.0', RUN), ...change }))
}

describe.skipIf(needs !== null)('a builder image', () => {
  let first: Pushed
  beforeAll(async () => {
    if (needs !== null) return
    rig = await buildRig('10.222.196.0/22')
    await publishRun('the first run image\n')
    await publishBuilder()
    first = await build()
  })
  afterAll(async () => rig?.close())

  it('builds with its own buildpacks and programs, as its own user', () => {
    succeeded(first)
    expect(first.log).toContain(`-----> Using the builder image ${BUILDER}\n`)
    expect(first.log).toContain('built by 1005:1006 in /home/maker on acme.base for debian, tool there')
  })

  it('makes an image on its run image, that runs as that one says', async () => {
    const { image: made, processTypes } = succeeded(first)
    expect(processTypes['web']).toMatchObject({ user: `${RUNS_AS.uid}:${RUNS_AS.gid}` })
    const { output } = await rig.runIn(made, ['/cnb/process/web'])
    expect(output).toBe('hello\nthe first run image\n')
    const found = await rig.runIn(made, [
      '/bin/sh',
      '-c',
      'stat -c %u:%g /workspace/hello.txt; ls /cnb; command -v build-tool',
    ])
    expect(found.output).toBe('1007:1006\nlifecycle\nprocess\n')
  })

  it('is recorded with its digest, and its buildpack with where it is from', () => {
    const digest = published.get(BUILDER)?.digest
    expect(succeeded(first)).toMatchObject({
      builderImage: { reference: BUILDER, digest, runImage: { reference: RUN, digest: published.get(RUN)?.digest } },
      buildpacks: [{ id: 'acme/hello', version: '1.0', origin: digest }],
    })
  })

  it('gives layers back to the next build, which ships one small layer', async () => {
    const second = await build({ previousImage: succeeded(first).image }, { 'hello.txt': 'moon\n' })
    expect(second.log).toContain('kept 1 times before')
    expect(succeeded(second).newLayers).toBe(2) // the app's, and the one the buildpack wrote to
  })

  it.runIf(isLong)(
    'stays what its tag was until a build from scratch, and layers do not move to another stack',
    async () => {
      const before = published.get(BUILDER) as Made
      await publishBuilder({
        labels: { ...builderParts('acme/hello', '1.0', RUN).labels, 'io.buildpacks.stack.id': 'acme.next' },
      })
      const pinned = await build({ previousImage: succeeded(first).image })
      expect([asked.includes(`${BUILDER}@${before.digest}`), succeeded(pinned).builderImage?.digest]).toEqual([
        true,
        before.digest,
      ])
      const clean = await build({ change: { isClean: true } })
      expect(clean.log).toContain('on acme.next')
      const next = await build({ previousImage: succeeded(first).image })
      expect(next.log).toContain('kept 0 times before')
      const onStack = await rig.build(
        { Procfile: 'web: true\n' },
        { appId: app(1), previousImage: succeeded(first).image },
      )
      succeeded(onStack)
    },
  )

  it.runIf(isLong)('says of an app that it does not build why', async () => {
    const { message } = failed(await build({ appId: app(2) }, { 'other.txt': '' }))
    expect(message).toContain('no buildpack matches this app')
  })

  it.runIf(isLong)('is not what its tag stays once it was found to be none', async () => {
    const at = { appId: app(4), wishes: { builder: 'acme/mended:1' } }
    await publishBuilder({ labels: {} }, 'acme/mended:1')
    failed(await build(at))
    await publishBuilder({}, 'acme/mended:1')
    succeeded(await build(at))
  })

  it.runIf(isLong).each<[string, () => Promise<void>, RegExp]>([
    ['cannot be had', () => Promise.resolve(), /refused:1 was not pulled: not found/],
    [
      'is none',
      () => publishBuilder({ labels: {} }, 'acme/refused:1'),
      /acme\/refused:1 is no builder image: it has no label/,
    ],
    [
      'has image extensions',
      () => {
        const { labels } = builderParts('acme/hello', '1.0', RUN)
        const extensions = { 'io.buildpacks.extension.layers': '{"a/b":{"1":{}}}' }
        return publishBuilder({ labels: { ...labels, ...extensions } }, 'acme/refused:1')
      },
      /acme\/refused:1 has image extensions, which this platform does not run/,
    ],
    [
      'holds another buildpack than it names',
      () => publishBuilder(builderParts('acme/hello', '2.0', RUN), 'acme/refused:1'),
      /names acme\/hello@2\.0 and does not hold it/,
    ],
    [
      'stands beside a run image that cannot be had',
      () => publishBuilder(builderParts('acme/hello', '1.0', 'acme/nosuch:1'), 'acme/refused:1'),
      /the run image of acme\/refused:1: acme\/nosuch:1 was not pulled/,
    ],
  ])('that %s is refused', async (_why, publish, expected) => {
    published.delete('acme/refused:1')
    await publish()
    const { message, reason } = failed(await build({ appId: app(3), wishes: { builder: 'acme/refused:1' } }))
    expect(message).toMatch(expected)
    expect(reason).toBe('buildpack')
  })

  describe('and a rebase', () => {
    const rebase = (): Promise<Pushed> =>
      build({ previousImage: succeeded(first).image, change: { isRebase: true }, wishes: {} }, {})

    it('changes nothing while the run image is the same', async () => {
      expect(succeeded(await rebase())).toMatchObject({ image: succeeded(first).image, newLayers: 0 })
    })

    it('puts what the run image is now under the app, without a build', async () => {
      await publishRun('the second run image\n')
      const { image: rebased } = succeeded(await rebase())
      expect(rebased).not.toBe(succeeded(first).image)
      expect((await rig.runIn(rebased, ['/cnb/process/web'])).output).toBe('hello\nthe second run image\n')
    })

    it('is refused when the run image is another distribution, or cannot be had', async () => {
      await publishRun('x', { labels: { 'io.buildpacks.base.distro.version': '13' } })
      expect(failed(await rebase()).message).toContain(`it is for 12, and ${RUN} is 13 now`)
      published.delete(RUN)
      expect(failed(await rebase()).message).toContain(`${RUN} was not pulled: not found`)
    })
  })
})
