import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LifecycleError, type Buildpack } from '@croft/lifecycle'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BuildContainer } from './build-container.js'

const MIB = 1024 ** 2
let layers: string
let container: BuildContainer
beforeEach(() => {
  layers = mkdtempSync(join(tmpdir(), 'build-container-'))
  container = new BuildContainer({
    container: {} as never, // nothing is run
    folders: { layers, owner: { uid: 0, gid: 0 } } as never,
    restored: new Map(),
    target: {} as never,
    log: {} as never,
    signal: new AbortController().signal,
  })
})
afterEach(() => rmSync(layers, { recursive: true, force: true }))

const buildpack = (id: string): Buildpack => ({ id }) as Buildpack

/** A file of so many bytes, which takes none of the disk. */
function leave(path: string, bytes: number): void {
  const place = join(layers, path)
  mkdirSync(join(place, '..'), { recursive: true })
  writeFileSync(place, '')
  truncateSync(place, bytes)
}
const refused = (title: RegExp) =>
  expect.objectContaining({ constructor: LifecycleError, title: expect.stringMatching(title) })

describe('what a buildpack leaves for the platform to read', () => {
  it('is read, and files of a size that nobody needs are refused by name', async () => {
    leave('one/launch.toml', 10)
    leave('one/libs.toml', MIB)
    leave('one/libs.sbom.cdx.json', 2 * MIB)
    const { launch, layers: described, sboms } = await container.readOutput(buildpack('one'))
    expect([launch?.length, described.get('libs')?.length, sboms[0]?.text.length]).toEqual([10, MIB, 2 * MIB])
    leave('one/libs/env/PATH', MIB + 1)
    await expect(container.readLayerEnv(buildpack('one'), 'libs')).rejects.toEqual(
      refused(/^PATH is larger than 1048576 bytes: the buildpack one wrote it/),
    )
  })

  it.each<[string, (index: number) => string]>([
    ['descriptions of layers', (index) => `two/layer-${index}.toml`],
    ['bills of materials', (index) => `two/layer-${index}.sbom.cdx.json`],
    ['variables', (index) => `two/libs/env/VARIABLE_${index}`],
  ])('is refused when it does not fit in memory: %s, of all buildpacks together', async (_what, pathOf) => {
    leave('one/libs.sbom.cdx.json', 8 * MIB)
    for (let index = 0; index < 57; index += 1) leave(pathOf(index), MIB)
    const all = async (): Promise<void> => {
      for (const id of ['one', 'two']) await container.readOutput(buildpack(id))
      await container.readLayerEnv(buildpack('two'), 'libs')
    }
    await expect(all()).rejects.toEqual(refused(/and what was read before it are larger than 67108864 bytes/))
  })
})
