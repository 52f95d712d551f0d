import { FakeBackend, FakeStore } from '@croft/garden-api/fake'
import { FakeClock, silentLogger, waitFor } from '@croft/kit'
import { beforeEach, describe, expect, it } from 'vitest'
import { SpareContainer, type Made, type Make, type Taken } from './spare-container.js'

const MINUTE_MS = 60_000
const never = new AbortController().signal
const SHOP = { whose: 'shop', image: 'sha256:a' }

describe('the container that is made in advance for a build', () => {
  let backend: FakeBackend
  let clock: FakeClock
  let spare: SpareContainer<Made>
  let addresses: Map<string, string>
  let folders: Set<string>
  let availableBytes: number
  let isBusy: boolean

  const make: Make<Made> = async ({ id, handle, address }) => {
    folders.add(handle)
    const properties = { 'croft.owner': 'executor', 'croft.instance': id }
    const remove = async (): Promise<void> => void folders.delete(handle)
    return { container: await backend.create({ handle, network: address, properties }), folders: { remove } }
  }
  const opened = (made: 'when-calm' | 'at-once'): SpareContainer<Made> => {
    const one = new SpareContainer<Made>({
      backend,
      clock,
      logger: silentLogger,
      availableBytes: () => availableBytes,
      keptMs: 15 * MINUTE_MS,
      prefix: 'spare-',
      made,
    })
    one.open({
      addressOf: async (id) => {
        addresses.set(id, '10.192.0.9')
        return '10.192.0.9'
      },
      moveAddress: async (from, to) => {
        const address = addresses.get(from)
        if (address === undefined) return false
        addresses.delete(from)
        addresses.set(to, address)
        return true
      },
      freeAddress: async (id) => void addresses.delete(id),
      isBusy: () => isBusy,
    })
    return one
  }
  const handles = async (): Promise<string[]> => (await backend.containers()).map(({ handle }) => handle)
  const leftovers = async (): Promise<unknown[]> => [
    ...(await handles()),
    ...addresses.keys(),
    ...folders,
    ...spare.ids,
  ]
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
    addresses = new Map()
    folders = new Set()
    availableBytes = 2 ** 34
    isBusy = false
    spare = opened('when-calm')
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
    expect([...addresses.keys()]).toEqual([handle])
    expect(await (await backend.lookup(handle)).properties()).toMatchObject({ 'croft.instance': handle })
  })

  it('is made at once where it is to be, also when the node is busy, but only where there is room', async () => {
    spare = opened('at-once')
    isBusy = true
    spare.prepare(SHOP, make)
    await settled()
    expect(await handles()).toEqual(spare.ids)
    availableBytes = 2 ** 20
    spare.prepare({ ...SHOP, image: 'sha256:b' }, make)
    await waitFor(async () => (await leftovers()).length === 0, { what: 'nothing', timeoutMs: 2_000, everyMs: 5 })
  })

  it('gives its address with itself to whom it becomes, and is then unknown by its name', async () => {
    await prepared()
    const taken = (await spare.take('shop', never)) as Taken<Made>
    expect(await taken.becomes('web-1')).toBe(true)
    expect(spare.ids).toEqual([taken.names.handle])
    expect(await taken.givesAddress('web-1')).toBe(true)
    expect([...addresses]).toEqual([['web-1', taken.names.address]])
    expect(spare.ids).toEqual([])
    await spare.close()
    expect(await handles()).toEqual([taken.names.handle])
  })

  it('becomes that of one build, and all of it goes with the build', async () => {
    await prepared()
    const taken = (await spare.take('shop', never)) as Taken<Made>
    expect(await spare.take('shop', never)).toBeNull()
    expect(await taken.becomes('build-2')).toBe(true)
    expect(await taken.container.properties()).toMatchObject({ 'croft.instance': 'build-2', 'croft.owner': 'executor' })
    await pass(60 * MINUTE_MS)
    expect(await handles()).toEqual(spare.ids)
    await taken.release()
    expect(await leftovers()).toEqual([])
  })

  it('is no other app’s', async () => {
    await prepared()
    expect(await spare.take('till', never)).toBeNull()
    expect(await spare.take('shop', never)).not.toBeNull()
  })

  it('is waited for by a build that begins while it is made, and is not made for one that has begun before', async () => {
    let finish = (): void => undefined
    spare.prepare(SHOP, async (...given) => {
      await new Promise<void>((resolve) => (finish = resolve))
      return await make(...given)
    })
    await pass(1_000)
    const taking = spare.take('shop', never)
    finish()
    expect((await taking)?.names.handle).toBe(spare.ids[0])
    spare.prepare(SHOP, make)
    expect(await spare.take('shop', never)).toBeNull()
    await pass(1_000)
    expect(await handles()).toHaveLength(1)
  })

  it('is said to be lost when it has gone', async () => {
    await prepared()
    await backend.destroy(spare.ids[0] ?? '')
    const taken = await spare.take('shop', never)
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

  it('gives way to the next one, unless it is that one already: there are never two', async () => {
    await prepared()
    const [first] = await handles()
    spare.prepare(SHOP, make)
    await pass(1_000)
    expect(await handles()).toEqual([first])
    spare.prepare({ whose: 'till', image: 'sha256:b' }, make)
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
