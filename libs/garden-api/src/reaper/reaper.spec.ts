import { describe, expect, it } from 'vitest'
import { FakeClock, silentLogger } from '@croft/kit'
import { GardenError } from '../errors.js'
import { FakeBackend } from '../fake/index.js'
import type { ContainerEvent, ContainerSpec } from '../types.js'
import { Reaper } from './reaper.js'

const GRACE_MS = 500
const DAY_MS = 24 * 60 * 60_000

interface World {
  clock: FakeClock
  backend: FakeBackend
  reaper: Reaper
  /** Makes a container as a server does: the create is a call that names it. */
  create: (handle: string, spec?: ContainerSpec) => Promise<void>
  handles: () => string[]
}

function makeWorld(): World {
  const clock = new FakeClock()
  const backend = new FakeBackend({ clock })
  const reaper = new Reaper({ backend, clock, logger: silentLogger })
  return {
    clock,
    backend,
    reaper,
    create: async (handle, spec = { graceTimeMs: GRACE_MS }) => {
      await backend.create({ ...spec, handle })
      reaper.hold(handle)()
      await clock.advance(0)
    },
    handles: () => [...backend.store.records.keys()],
  }
}

describe('a container with a grace time', () => {
  it('is destroyed once nobody has used it for so long, and the event says why', async () => {
    const { clock, backend, create, handles } = makeWorld()
    const stop = new AbortController()
    const events: ContainerEvent[] = []
    const reading = (async () => {
      for await (const event of backend.events(stop.signal)) events.push(event)
    })()
    await create('a')
    await clock.advance(GRACE_MS - 1)
    expect(handles()).toEqual(['a'])
    await clock.advance(1)
    expect(handles()).toEqual([])
    stop.abort()
    await reading
    expect(events.at(-1)).toMatchObject({ kind: 'destroyed', handle: 'a', reason: 'grace-time' })
  })

  it('stays while a call that names it lasts, and has the whole time again at its end', async () => {
    const { clock, reaper, create, handles } = makeWorld()
    await create('a')
    await clock.advance(GRACE_MS - 1)
    const end = reaper.hold('a')
    await clock.advance(10 * GRACE_MS)
    end()
    await clock.advance(GRACE_MS - 1)
    expect(handles()).toEqual(['a'])
    await clock.advance(1)
    expect(handles()).toEqual([])
  })

  it('stays until the last of several calls has ended, each counted once', async () => {
    const { clock, reaper, create, handles } = makeWorld()
    await create('a')
    const [first, second] = [reaper.hold('a'), reaper.hold('a')]
    first()
    first()
    await clock.advance(10 * GRACE_MS)
    expect(handles()).toEqual(['a'])
    second()
    await clock.advance(0)
    await clock.advance(GRACE_MS)
    expect(handles()).toEqual([])
  })

  it('counts its own time, not that of its neighbours', async () => {
    const { clock, reaper, create, handles } = makeWorld()
    await create('a')
    await create('b')
    reaper.hold('b')
    await clock.advance(GRACE_MS)
    expect(handles()).toEqual(['b'])
  })

  it('lives for ever with a grace time of 0, whether made so or set later', async () => {
    const { clock, backend, reaper, create, handles } = makeWorld()
    await create('never', {})
    await create('set')
    const end = reaper.hold('set')
    await (await backend.lookup('set')).setGraceTime(0)
    end()
    await clock.advance(30 * DAY_MS)
    expect(handles()).toEqual(['never', 'set'])
  })

  it('goes by a time that is set later', async () => {
    const { clock, backend, reaper, create, handles } = makeWorld()
    await create('a', {})
    const end = reaper.hold('a')
    await (await backend.lookup('a')).setGraceTime(2 * GRACE_MS)
    end()
    await clock.advance(0)
    await clock.advance(2 * GRACE_MS - 1)
    expect(handles()).toEqual(['a'])
    await clock.advance(1)
    expect(handles()).toEqual([])
  })

  it('waits out a time that is longer than a timer counts', async () => {
    const { clock, create, handles } = makeWorld()
    await create('a', { graceTimeMs: 60 * DAY_MS })
    for (let day = 0; day < 59; day += 1) await clock.advance(DAY_MS)
    expect(handles()).toEqual(['a'])
    await clock.advance(DAY_MS)
    expect(handles()).toEqual([])
  })

  it('begins its time when a server starts over it', async () => {
    const { clock, backend, handles } = makeWorld()
    await backend.create({ handle: 'old', graceTimeMs: GRACE_MS })
    await clock.advance(DAY_MS)
    const reaper = new Reaper({ backend, clock, logger: silentLogger })
    await reaper.start()
    await clock.advance(GRACE_MS - 1)
    expect(handles()).toEqual(['old'])
    await clock.advance(1)
    expect(handles()).toEqual([])
  })

  it('is left alone by a reaper that was closed', async () => {
    const { clock, reaper, create, handles } = makeWorld()
    await create('a')
    const end = reaper.hold('a')
    await create('b')
    reaper.close()
    end()
    await clock.advance(DAY_MS)
    expect(handles()).toEqual(['a', 'b'])
  })

  it('that cannot be destroyed is tried again, not faster than once a second', async () => {
    const { clock, backend, create, handles } = makeWorld()
    await create('a', { graceTimeMs: 10 })
    const error = new GardenError({ code: 'busy', status: 500, title: 'not now' })
    backend.inject({ call: 'destroy', error, times: 2 })
    await clock.advance(10)
    await clock.advance(999)
    expect(backend.calls.filter((call) => call === 'destroy a').length).toBe(1)
    await clock.advance(1)
    await clock.advance(1_000)
    expect(handles()).toEqual([])
  })

  it('that somebody else has destroyed is forgotten, and its handle means the next one', async () => {
    const { clock, backend, create, handles } = makeWorld()
    await create('a')
    await backend.destroy('a')
    await clock.advance(GRACE_MS / 2)
    await create('a')
    await clock.advance(GRACE_MS - 1)
    expect(handles()).toEqual(['a'])
    await clock.advance(1)
    expect(handles()).toEqual([])
  })
})

describe('a lease', () => {
  it('keeps a container beyond its grace time until it ends', async () => {
    const { clock, backend, create, handles } = makeWorld()
    await create('a')
    await (await backend.lookup('a')).setLease({ holder: 'controller', expiresAtMs: clock.now() + 10 * GRACE_MS })
    await clock.advance(10 * GRACE_MS - 1)
    expect(handles()).toEqual(['a'])
    await clock.advance(1)
    expect(handles()).toEqual([])
  })

  it('can be renewed as long as it lasts', async () => {
    const { clock, backend, create, handles } = makeWorld()
    await create('a')
    const container = await backend.lookup('a')
    for (let round = 0; round < 5; round += 1) {
      await container.setLease({ holder: 'controller', expiresAtMs: clock.now() + 2 * GRACE_MS })
      await clock.advance(2 * GRACE_MS - 1)
    }
    expect(handles()).toEqual(['a'])
    await clock.advance(1)
    expect(handles()).toEqual([])
  })

  it('shorter than the grace time changes nothing', async () => {
    const { clock, backend, create, handles } = makeWorld()
    await create('a')
    await (await backend.lookup('a')).setLease({ holder: 'controller', expiresAtMs: clock.now() + 1 })
    await clock.advance(GRACE_MS - 1)
    expect(handles()).toEqual(['a'])
  })
})
