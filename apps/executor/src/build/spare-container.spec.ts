import { FakeBackend, FakeStore } from '@croft/garden-api/fake'
import { FakeClock, silentLogger, waitFor } from '@croft/kit'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BuildFolders } from './build-folders.js'
import { SpareContainer, type MakeSpare, type TakenSpare } from './spare-container.js'

const MINUTE_MS = 60_000
const SHOP = { appId: 'shop', image: 'sha256:a' }

describe('the container that is made in advance for a build', () => {
  let backend: FakeBackend
  let clock: FakeClock
  let spare: SpareContainer
  let addresses: Set<string>
  let folders: Set<string>
  let availableBytes: number
  let isBusy: boolean

  const make: MakeSpare = async (names) => {
    const spec = { handle: names.handle, network: names.address, properties: names.properties }
    folders.add(names.handle)
    const remove = async (): Promise<void> => void folders.delete(names.handle)
    return {
      container: await backend.create(spec),
      image: 'stack',
      folders: { remove } as BuildFolders,
      restored: new Map(),
      likeness: {
        appId: 'shop',
        container: spec,
        netOut: [],
        origin: { ground: '', isClean: false, previousImage: null, cache: {}, buildpacks: [] },
      },
    }
  }
  const handles = async (): Promise<string[]> => (await backend.containers()).map(({ handle }) => handle)
  const leftovers = async (): Promise<unknown[]> => [...(await handles()), ...addresses, ...folders, ...spare.ids]
  const settled = async (): Promise<void> => {
    for (let looks = 0; looks < 20; looks += 1) await new Promise((resolve) => setImmediate(resolve))
  }
  const pass = async (ms: number): Promise<void> => {
    await settled()
    await clock.advance(ms)
    await settled()
  }
  /** One stands. */
  const prepared = async (): Promise<void> => {
    spare.prepare(SHOP, make)
    await pass(1_000)
    await waitFor(async () => (await handles()).length === 1, { what: 'a spare', timeoutMs: 2_000, everyMs: 5 })
    await settled()
  }

  beforeEach(async () => {
    backend = new FakeBackend({ store: new FakeStore() })
    await backend.recover()
    clock = new FakeClock()
    addresses = new Set()
    folders = new Set()
    availableBytes = 2 ** 34
    isBusy = false
    spare = new SpareContainer({ backend, clock, logger: silentLogger, availableBytes: () => availableBytes })
    spare.open({
      addressOf: async (id) => {
        addresses.add(id)
        return '10.192.0.9'
      },
      freeAddress: async (id) => void addresses.delete(id),
      isBusy: () => isBusy,
    })
  })

  it('is made once the node has nothing else to do, and known by its own name meanwhile', async () => {
    isBusy = true
    spare.prepare(SHOP, make)
    await pass(1_000)
    await pass(1_000)
    expect(await leftovers()).toEqual([])
    isBusy = false
    await pass(1_000)
    const [handle = ''] = await handles()
    expect(spare.ids).toEqual([handle])
    expect([...addresses]).toEqual([handle])
    expect(await (await backend.lookup(handle)).properties()).toMatchObject({ 'croft.instance': handle })
  })

  it('becomes that of one build, and all of it goes with the build', async () => {
    await prepared()
    const taken = (await spare.take('shop')) as TakenSpare
    expect(await spare.take('shop')).toBeNull()
    expect(await taken.becomes('build-2')).toBe(true)
    expect(await taken.container.properties()).toMatchObject({ 'croft.instance': 'build-2', 'croft.owner': 'executor' })
    await pass(60 * MINUTE_MS)
    expect(await handles()).toEqual(spare.ids)
    await taken.release()
    expect(await leftovers()).toEqual([])
  })

  it('is no other app’s', async () => {
    await prepared()
    expect(await spare.take('till')).toBeNull()
    expect(await spare.take('shop')).not.toBeNull()
  })

  it('is waited for by a build that begins while it is made, and is not made for one that has begun before', async () => {
    let finish = (): void => undefined
    spare.prepare(SHOP, async (...given) => {
      await new Promise<void>((resolve) => (finish = resolve))
      return await make(...given)
    })
    await pass(1_000)
    const taking = spare.take('shop')
    finish()
    expect((await taking)?.names.handle).toBe(spare.ids[0])
    spare.prepare(SHOP, make)
    expect(await spare.take('shop')).toBeNull()
    await pass(1_000)
    expect(await handles()).toHaveLength(1)
  })

  it('is said to be lost when it has gone', async () => {
    await prepared()
    await backend.destroy(spare.ids[0] ?? '')
    const taken = await spare.take('shop')
    expect(await taken?.becomes('build-2')).toBe(false)
    await taken?.release()
    expect(await leftovers()).toEqual([])
  })

  it.each<[string, () => unknown]>([
    ['nobody took it for some minutes', () => pass(16 * MINUTE_MS)],
    ['memory is short', () => ((availableBytes = 2 ** 20), spare.makeRoom(1))],
    ['containers are short', () => spare.makeRoom(1_000_000)],
    ['the executor ends', () => spare.close()],
  ])('goes when %s, with its folders and its address', async (_when, happens) => {
    await prepared()
    spare.makeRoom(1)
    await settled()
    expect(await handles()).toHaveLength(1)
    await happens()
    await waitFor(async () => (await leftovers()).length === 0, { what: 'nothing', timeoutMs: 2_000, everyMs: 5 })
  })

  it('gives way to the next one: there are never two', async () => {
    await prepared()
    const [first] = await handles()
    spare.prepare({ appId: 'till', image: 'sha256:b' }, make)
    await pass(1_000)
    const [second, ...others] = await handles()
    expect(others).toEqual([])
    expect(second).not.toBe(first)
    expect(spare.image).toBe('sha256:b')
  })

  it('that cannot be made is none, and an executor that ends in the midst of it leaves nothing', async () => {
    spare.prepare(SHOP, () => Promise.reject(new Error('no space')))
    await pass(1_000)
    expect(await leftovers()).toEqual([])
    let finish = (): void => undefined
    spare.prepare(SHOP, async (...given) => {
      await new Promise<void>((resolve) => (finish = resolve))
      return await make(...given)
    })
    await pass(1_000)
    const closed = spare.close()
    finish()
    await closed
    expect(await leftovers()).toEqual([])
    spare.prepare(SHOP, make)
    await pass(1_000)
    expect(await leftovers()).toEqual([])
  })
})
