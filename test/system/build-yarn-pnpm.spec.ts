import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from './support/build-needs.js'
import { failed, succeeded, type Pushed } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import { firstPage } from './support/running-image.js'
import { appWith, changed, PNPM, workspaces, YARN_1, yarn4 } from './support/node-apps.js'

/** Node apps with the lock files of yarn and pnpm. The managers and two small packages come from the npm registry of the host. */
const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let rig: BuildRig
beforeAll(async () => {
  if (needs === null) rig = await buildRig('10.222.248.0/22')
})
afterAll(async () => await rig?.close())

let serial = 0
/** Each case is an app of its own: nothing is kept of another one. */
const appId = (): string => `01890000-0000-7000-8000-0000000007${String(++serial).padStart(2, '0')}`

const TOOLS: [name: string, tool: string, lock: Record<string, string>, more: object, RegExp][] = [
  ['pnpm', 'pnpm', { 'pnpm-lock.yaml': PNPM }, {}, /pnpm 10\.\d+\.\d+/],
]
const MORE_TOOLS: typeof TOOLS = [
  ['the newest yarn 4', 'yarn', { 'yarn.lock': yarn4(10) }, {}, /yarn 4\.\d+\.\d+/],
  ['yarn 1', 'yarn', { 'yarn.lock': YARN_1 }, {}, /yarn 1\.22\.\d+/],
  ['a yarn 4 by name', 'yarn', { 'yarn.lock': yarn4(8) }, { packageManager: 'yarn@4.5.3' }, /yarn 4\.5\.3/],
  ['pnpm 9 by name', 'pnpm', { 'pnpm-lock.yaml': PNPM }, { packageManager: 'pnpm@9.15.9' }, /pnpm 9\.15\.9/],
  ['pnpm 12 by name', 'pnpm', { 'pnpm-lock.yaml': PNPM }, { packageManager: 'pnpm@12.21.0' }, /pnpm 12\.21\.0/],
]

describe.skipIf(needs !== null).each([...TOOLS, ...(isLong ? MORE_TOOLS : [])])(
  'an app with the lock file of %s',
  (_name, tool, lock, more, version) => {
    const id = appId()
    const files = appWith(lock, more)
    let first: Pushed
    beforeAll(async () => {
      if (needs === null) first = await rig.build(files, { appId: id })
    })

    it('is installed by it and built with development dependencies, which are not in the image', async () => {
      expect(first.log).toMatch(version)
      expect(first.log).toMatch(new RegExp(`\\n {7}${tool} install with development dependencies: .* s\\n`))
      const { image, processTypes } = succeeded(first)
      expect(processTypes['web']?.command).toBe('node server.js')
      const { output } = await rig.runIn(image, [
        '/bin/sh',
        '-c',
        'cat built.txt; echo; ls node_modules/; which yarn pnpm',
      ])
      expect(output).toMatch(new RegExp(`^  x ${tool}/[\\d.]+\nms\n$`))
      const bill = await rig.runIn(image, ['/bin/cat', '/layers/sbom/launch/croft_node/modules/sbom.cdx.json'])
      const { components } = JSON.parse(bill.output) as { components: { purl: string }[] }
      expect(components.map(({ purl }) => purl)).toEqual([expect.stringMatching(/^pkg:npm\/ms@2\./)])
      expect(await firstPage(rig, image)).toBe('1m\n')
    })

    it('changed in one line, becomes one new layer, and the manager is not run', async () => {
      const second = await rig.build(changed(files), { appId: id, previousImage: succeeded(first).image })
      expect(second.log).toMatch(/\n {7}dependencies unchanged +\d\.\d s\n/)
      expect(second.log).not.toMatch(new RegExp(`Installing ${tool}`))
      expect(succeeded(second).newLayers).toBe(1)
    })

    it.runIf(isLong)('gives the same image when nothing is kept', async () => {
      const { image } = succeeded(first)
      const clean = await rig.build(files, { appId: id, previousImage: image, change: { isClean: true } })
      expect(clean.log).toMatch(new RegExp(`Installing ${tool}`))
      expect(succeeded(clean).image).toBe(image)
    })

    it.runIf(isLong)('is refused when the lock file does not name all it asks for', async () => {
      const asks = { dependencies: { ms: '2.1.3', 'is-odd': '3.0.1' }, scripts: { start: 'node server.js' } }
      const misfit = await rig.build(appWith(lock, { ...more, ...asks }), { appId: id })
      expect(failed(misfit).message).toMatch(/^(yarn\.lock|pnpm-lock\.yaml) does not fit package\.json/)
      expect(failed(misfit).suggestion).toMatch(new RegExp(`^run ${tool} install, commit`))
    })

    it.runIf(isLong)('starts through the manager where its Procfile says so', async () => {
      const procfile = { ...files, Procfile: `web: ${tool} start\n` }
      expect(await firstPage(rig, succeeded(await rig.build(procfile, { appId: id })).image)).toBe('1m\n')
    })

    it.runIf(isLong)('has the packages of its own folders', async () => {
      const range = tool === 'pnpm' || lock['yarn.lock'] !== YARN_1 ? 'workspace:*' : '*'
      const nested = workspaces(tool, lock, range)
      const { image } = succeeded(await rig.build({ ...nested, ...pinned(nested, more) }, { appId: appId() }))
      expect(await firstPage(rig, image)).toBe('1m\n')
      const { output } = await rig.runIn(image, ['/bin/sh', '-c', 'find . -path "*left-pad/package.json"'])
      expect(output).toBe('')
    })
  },
)

function pinned(files: Record<string, string>, more: object): Record<string, string> {
  return { 'package.json': JSON.stringify({ ...(JSON.parse(files['package.json'] ?? '{}') as object), ...more }) }
}

describe.skipIf(needs !== null)('an app whose files contradict one another', () => {
  it('is refused with two lock files, before anything is fetched', async () => {
    const files = appWith({ 'yarn.lock': YARN_1, 'pnpm-lock.yaml': PNPM })
    const refused = failed(await rig.build(files))
    expect(refused.message).toBe('there are lock files of yarn and pnpm: yarn.lock, pnpm-lock.yaml')
    expect(refused.suggestion).toContain('packageManager')
  })

  it.runIf(isLong)('is refused when the manager is not the one that packageManager names by its hash', async () => {
    const hash = 'sha512.'.padEnd(135, '0')
    const files = appWith({ 'yarn.lock': YARN_1 }, { packageManager: `yarn@1.22.22+${hash}` })
    expect(failed(await rig.build(files)).message).toMatch(/^yarn 1\.22\.22 is not the one that packageManager/)
    const real =
      'a6b2f7906b721bba3d67d4aff083df04dad64c399707841b7acf00f6b133b7ac24255f2652fa22ae3534329dc6180534e98d17432037ff6fd140556e2bb3137e'
    const genuine = appWith({ 'yarn.lock': YARN_1 }, { packageManager: `yarn@1.22.22+sha512.${real}` })
    expect(await firstPage(rig, succeeded(await rig.build(genuine, { appId: appId() })).image)).toBe('1m\n')
  })

  it.runIf(isLong)("does without Plug'n'Play, whose files are left out", async () => {
    const files = appWith({ 'yarn.lock': yarn4(10), '.pnp.cjs': 'throw new Error("from another machine")\n' })
    const { image } = succeeded(await rig.build(files, { appId: appId() }))
    expect(await firstPage(rig, image)).toBe('1m\n')
    expect((await rig.runIn(image, ['/bin/sh', '-c', 'ls -A'])).output).not.toContain('.pnp')
  })
})

it.skipIf(needs === null)(`apps with yarn and pnpm are not tried here: this host lacks ${needs}`, () => {
  expect(needs).not.toBeNull()
})
