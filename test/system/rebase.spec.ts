import { createHash } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { silentLogger } from '@croft/kit'
import type { BuildResult } from '@croft/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BaseImages } from '../../apps/executor/src/image/base-image.js'
import { CroftImageResolver } from '../../apps/executor/src/image/image-resolver.js'
import { Images } from '../../apps/executor/src/image/images.js'
import { SharedLayers } from '../../apps/executor/src/image/shared-layers.js'
import { plain } from './build/looks.js'
import { buildNeeds } from './support/build-needs.js'
import { buildRig, type BuildRig } from './support/build-rig.js'

/** Another base image under an app that was built, and the same source built apart from each other. */

const CACHE = process.env['CROFT_CACHE'] ?? '/var/cache/croft'
const isLong = process.env['CROFT_TEST_LONG'] === '1'
const needs = buildNeeds()
const APP_FILES = { 'server.js': 'console.log("hello")\n', Procfile: 'web: cat /etc/base-marker\n' }
const sha = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

type Succeeded = Extract<BuildResult, { outcome: 'succeeded' }>
function succeeded(result: BuildResult): Succeeded {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}`)
  return result
}
interface Manifest {
  config: { digest: string }
  layers: { digest: string }[]
}

describe.skipIf(needs !== null)('a rebase', () => {
  let rig: BuildRig
  let folder: string
  let image: string
  beforeAll(async () => {
    rig = await buildRig('10.222.228.0/22')
    folder = mkdtempSync(join(tmpdir(), 'rebase-spec-'))
    image = succeeded((await rig.build(APP_FILES)).result).image
  })
  afterAll(async () => {
    await rig?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** A cache in which the stack has the base image of before and, as the present one, a changed copy of it. */
  function newBase(name: string, change: (tree: string) => void): void {
    const former = realpathSync(join(CACHE, 'base/debian-12/current'))
    const stack = join(folder, name, 'debian-12')
    const made = join(stack, sha(name).slice(7))
    mkdirSync(made, { recursive: true })
    symlinkSync(former, join(stack, basename(former)))
    cpSync(join(former, 'tree'), join(made, 'tree'), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    })
    change(join(made, 'tree'))
    const blob = Buffer.from(`the blob of ${name}`) // its tree is here, so nobody unpacks it
    writeFileSync(join(made, 'layer.tar.zst'), blob)
    const json = JSON.parse(readFileSync(join(former, 'image.json'), 'utf8')) as object
    const own = { diffId: sha(name), blobDigest: sha(blob), blobBytes: blob.length }
    writeFileSync(join(made, 'image.json'), JSON.stringify({ ...json, ...own }))
    symlinkSync(basename(made), join(stack, 'current'))
    const bases = new BaseImages(join(folder, name))
    const { layers, registry } = rig.ports
    rig.ports.bases = bases
    rig.ports.images = new Images({ folder: join(rig.folder, 'images'), layers, bases, registry })
    rig.useResolver(new CroftImageResolver(rig.ports.images, bases))
  }
  const rebase = (of: string) => rig.build({}, { previousImage: of, change: { isRebase: true } })
  const manifestOf = (digest: string): Manifest =>
    JSON.parse(rig.registry.manifests.get(digest)?.toString() ?? '{}') as Manifest

  it('onto the base image it stands on already changes nothing', async () => {
    const { result } = await rebase(image)
    expect(succeeded(result)).toMatchObject({ image, newLayers: 0 })
  })

  it('takes no build: the app’s own layers stay, and it runs on the new base', async () => {
    newBase('second', (tree) => writeFileSync(join(tree, 'etc/base-marker'), 'the second base\n'))
    const { result, tookMs } = await rebase(image)
    const { image: rebased } = succeeded(result)
    expect(rebased).not.toBe(image)
    const [before, after] = [manifestOf(image), manifestOf(rebased)]
    expect(after.layers.slice(1)).toEqual(before.layers.slice(1))
    expect(after.layers[0]?.digest).toBe(sha('the blob of second'))
    expect((await rig.runIn(rebased, ['/cnb/process/web'])).output).toBe('the second base\n')
    expect(tookMs).toBeLessThan(1_000)
    expect(succeeded((await rebase(rebased)).result).image).toBe(rebased)
    const next = succeeded((await rig.build(APP_FILES, { previousImage: rebased })).result)
    expect(next.newLayers).toBe(0) // a build goes on from it
  })

  it('is refused when the new base lacks a library the former one had', async () => {
    newBase('third', (tree) => {
      for (const name of ['libz.so.1', 'libz.so.1.2.13'])
        rmSync(join(tree, 'usr/lib/x86_64-linux-gnu', name), { force: true })
      for (const name of ['libz.so.1', 'libz.so.1.2.13'])
        rmSync(join(tree, 'lib/x86_64-linux-gnu', name), { force: true })
    })
    const uploads = rig.registry.manifests.size
    const { result } = await rebase(image)
    expect(result).toMatchObject({ outcome: 'failed', message: expect.stringContaining('lacks libz.so.1') as string })
    expect(rig.registry.manifests.size).toBe(uploads)
  })
})

describe.skipIf(needs !== null)('the same source', () => {
  it.runIf(isLong)('built for two apps, on two homes, is the same image to the byte', async () => {
    const rigs = [await buildRig('10.222.224.0/22'), await buildRig('10.222.220.0/22')]
    try {
      const images = new Set<string>()
      for (const [at, rig] of rigs.entries()) {
        for (let round = 0; round < (isLong ? 3 : 1); round += 1) {
          const appId = `01890000-0000-7000-8000-00000000000${at * 3 + round + 1}`
          images.add(succeeded((await rig.build(APP_FILES, { appId })).result).image)
        }
      }
      expect(images.size).toBe(1)
    } finally {
      for (const rig of rigs) await rig.close()
    }
  })

  it.runIf(isLong)('is that image on a home that has a layer of others compressed, whole or damaged', async () => {
    const rig = await buildRig('10.222.224.0/22')
    const folder = mkdtempSync(join(tmpdir(), 'rebase-spec-'))
    try {
      const app = plain({})
      const images: string[] = []
      for (const homeId of ['a', 'b', 'c', 'd']) {
        // what a home has of its own: nothing at first
        await rig.loseLayers()
        rig.registry.blobs.clear()
        rig.registry.manifests.clear()
        rig.ports.shared = new SharedLayers({ folder, homeId, logger: silentLogger })
        const [blob] = readdirSync(folder).filter((name) => /^[0-9a-f]{64}$/.test(name))
        expect(blob !== undefined).toBe(['c', 'd'].includes(homeId))
        const used = blob === undefined ? 0 : statSync(join(folder, blob)).mtimeMs
        if (blob !== undefined && homeId === 'd') truncateSync(join(folder, blob), 1_000_000)
        images.push(succeeded((await rig.build(app)).result).image)
        if (homeId === 'c') expect(statSync(join(folder, blob ?? '')).mtimeMs).toBeGreaterThan(used)
      }
      expect(new Set(images).size).toBe(1)
    } finally {
      await rig.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
