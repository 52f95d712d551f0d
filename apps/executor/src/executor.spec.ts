import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeBackend } from '@croft/garden-api/fake'
import { waitFor } from '@croft/kit'
import { build, service } from './testing/desired.js'
import { FakeNode } from './testing/fake-node.js'

/** The rules of an executor, each as it is seen from the controller and from the host. */

let node: FakeNode
beforeEach(async () => {
  node = await FakeNode.make()
})
afterEach(async () => {
  await node.close()
})

const until = async (what: string, probe: () => unknown): Promise<void> => {
  await waitFor(() => Boolean(probe()), { what, timeoutMs: 5_000, everyMs: 5 })
}
const isUp = { isPassed: true } as const
const isDown = { isPassed: false, reason: 'port-closed', why: 'nothing accepts connections on port 8080' } as const

describe('a placed instance', () => {
  it('runs at an address of the node, never the gateway, and is reported ready', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    const status = await node.observed(web.id, 'ready')
    expect(status).toMatchObject({ handle: `${web.id}-1`, restarts: 0, reason: null })
    expect(status.address).toMatch(/^10\.255\.0\.(?!0:|1:)\d+:8080$/)
    expect(node.store.records.get(`${web.id}-1`)).toMatchObject({
      address: status.address?.split(':')[0],
      spec: { image: { uri: expect.stringMatching(/^croft:sha256:/) }, hostname: 'shop-web-1' },
    })
  })
  it('gives its config to its process only, not to its container', async () => {
    let given: readonly string[] = []
    node.web = async ({ env, signal }) => {
      given = env
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      return 0
    }
    const web = service({ env: { PORT: '8080', GREETING: 'a=b' } })
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    expect(given).toEqual(['PORT=8080', 'GREETING=a=b'])
    expect(node.store.records.get(`${web.id}-1`)?.spec.env).toBeUndefined()
  })
  it('that crashes comes back at the same address in another container', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    const before = await node.observed(web.id, 'ready')
    node.crash(web.id)
    const after = await node.observed(web.id, 'ready', ({ restarts }) => restarts === 1)
    expect(after).toMatchObject({ address: before.address, handle: `${web.id}-2`, reason: null, exit: { signal: 9 } })
    expect(node.store.records.has(`${web.id}-1`)).toBe(false)
  })
  it('that crashes again and again waits longer and longer, and says when it starts again', async () => {
    node.web = async () => 3
    const web = service()
    node.start()
    node.controller.want([web])
    const status = await node.observed(web.id, 'backoff', ({ restarts }) => restarts === 4)
    expect(status).toMatchObject({
      reason: 'crashed',
      message: 'it ended with exit code 3',
      exit: { code: 3, signal: null },
    })
    expect(Date.parse(status.nextStartAt ?? '')).toBeGreaterThan(0)
    expect(status.crashesBeforeReady).toBeLessThanOrEqual(4)
  })
  it('that crashes before it was ever ready shows its last twenty lines', async () => {
    node.check = async () => isDown
    node.web = async (context) => {
      for (let n = 1; n <= 25; n += 1) await context.write('stderr', `line ${n}\n`)
      await context.write('stderr', 'the last, unfinished')
      return 1
    }
    const web = service()
    node.start()
    node.controller.want([web])
    const { lastLines, crashesBeforeReady } = await node.observed(web.id, 'backoff')
    expect(crashesBeforeReady).toBe(4)
    expect(lastLines).toHaveLength(20)
    expect(lastLines.at(-1)).toBe('the last, unfinished')
  })
  it('that does not become ready in time is ended, and counted as a crash', async () => {
    node.check = async () => isDown
    const web = service({ bootTimeoutMs: 50 })
    node.start()
    node.controller.want([web])
    const status = await node.observed(web.id, 'backoff')
    expect(status).toMatchObject({ reason: 'port-closed', crashesBeforeReady: 4 })
    expect(status.message).toContain('not ready within 0.1 s')
  })
  it('is unready after two failed checks, keeps running, and is ready again after one that passed', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    const before = node.running(web.id)
    node.check = async () => isDown
    expect(await node.observed(web.id, 'unready')).toMatchObject({ reason: 'port-closed' })
    node.check = async () => isUp
    expect(await node.observed(web.id, 'ready')).toMatchObject({ reason: null, message: null, restarts: 0 })
    expect(node.running(web.id)).toEqual(before)
  })
  it('whose image cannot be fetched says so, and starts when it can', async () => {
    let isThere = false
    node.ensureImage = async () => {
      if (!isThere) throw new (await import('@croft/garden-api')).ImageError('it is nowhere')
    }
    const web = service()
    node.start()
    node.controller.want([web])
    expect(await node.observed(web.id, 'backoff')).toMatchObject({ reason: 'image', message: 'it is nowhere' })
    isThere = true
    await node.observed(web.id, 'ready')
  })
  it('whose command does not exist says so', async () => {
    const web = service({ command: ['/cnb/process/gone'] })
    node.start()
    node.controller.want([web])
    expect(await node.observed(web.id, 'backoff')).toMatchObject({ reason: 'command-not-found', crashesBeforeReady: 4 })
  })
  it('gets its next container although the backend could not destroy the one before at once', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    node.backend.inject({ call: 'destroy', handle: `${web.id}-1`, error: new Error('busy') })
    node.crash(web.id)
    const { address, restarts } = await node.observed(web.id, 'ready', ({ handle }) => handle !== `${web.id}-1`)
    expect(restarts).toBe(1)
    expect([...node.store.records.values()].filter((record) => `${record.address}:8080` === address)).toHaveLength(1)
  })
})

describe('an instance that is to end', () => {
  it('keeps running while it drains', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    const before = node.running(web.id)
    node.controller.want([{ ...web, intent: 'drain' }])
    await until('the drain to be applied', () => node.controller.reports.at(-1)?.appliedRevision === 2)
    expect(node.running(web.id)).toEqual(before)
  })
  it('is asked with SIGTERM and given its grace time, then nothing of it is left', async () => {
    const seen: number[] = []
    node.web = async (context) => {
      seen.push(await context.nextSignal())
      await context.write('stdout', 'goodbye\n')
      return 0
    }
    const web = service({ graceMs: 60_000 })
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    node.controller.want([{ ...web, intent: 'stop' }])
    await until('it to be gone', () => node.controller.status(web.id) === undefined)
    expect(seen).toEqual([15])
    expect(node.store.records.size).toBe(0)
  })
  it('is killed when its grace time is over', async () => {
    node.web = async (context) => {
      await context.nextSignal()
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }))
      return 0
    }
    const web = service({ graceMs: 50 })
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    node.controller.want([])
    await until('it to be gone', () => node.controller.status(web.id) === undefined)
    expect(node.running(web.id)).toEqual([])
  })
  it('is ended again and again until the backend lets it go', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    node.backend.inject({ call: 'destroy', handle: `${web.id}-1`, error: new Error('busy') })
    node.controller.want([])
    await until('it to be gone', () => node.store.records.size === 0 && node.controller.statuses.length === 0)
  })
  it('frees its address, which nobody gets for a while', async () => {
    const [first, second] = [service(), service()]
    node.start()
    node.controller.want([first])
    const { address } = await node.observed(first.id, 'ready')
    node.controller.want([second])
    expect((await node.observed(second.id, 'ready')).address).not.toBe(address)
  })
  it('is not begun again by an executor that starts while it ends, also without a controller', async () => {
    node.web = async (context) => {
      await context.nextSignal()
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }))
      return 0
    }
    const web = service({ graceMs: 150 })
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    node.controller.want([{ ...web, intent: 'stop' }])
    await until('its end to have begun', () => node.controller.reports.at(-1)?.appliedRevision === 2)
    await node.controller.close()
    const stopped = node.stop()
    await stopped
    node.start()
    await until('nothing to be left', () => node.store.records.size === 0)
    await delay(100)
    expect(node.store.records.size).toBe(0)
  })
})

describe('without its controller an executor', () => {
  it('keeps everything running, and restarts what crashes', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    await node.controller.close()
    node.crash(web.id)
    await until('its restart', () => node.running(web.id)[0]?.handle === `${web.id}-2`)
  })
  it('starts, and brings back what ended while it was away, at the same address', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    const { address } = await node.observed(web.id, 'ready')
    await node.controller.close()
    await node.stop()
    for (const handle of node.store.records.keys()) node.store.lose(handle) // the host was started anew
    node.start()
    await until('its restart', () => node.running(web.id).length === 1)
    expect(`${[...node.store.records.values()][0]?.address}:8080`).toBe(address)
  })
  it.each(['incomplete', 'error', 'cut-off'] as const)('destroys nothing on an answer that is %s', async (fault) => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    node.controller.fault = fault
    node.controller.want([])
    await delay(200)
    expect(node.running(web.id)).toHaveLength(1)
    node.controller.fault = 'none'
    await until('the real answer to be applied', () => node.store.records.size === 0)
  })
})

describe('a desired set whose history broke', () => {
  /** The minute for which nothing is destroyed: long enough here for a loaded machine to start something meanwhile. */
  const HELD_MS = 1_500
  let seen: { what: string; atMs: number }[]
  beforeEach(() => {
    seen = []
    node.timeScale = 60_000 / HELD_MS
    node.web = async ({ env, signal }) => {
      const name = env.find((line) => line.startsWith('NAME='))
      seen.push({ what: `${name} runs`, atMs: performance.now() })
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      seen.push({ what: `${name} ended`, atMs: performance.now() })
      return 0
    }
  })
  const ended = (name: string): number | undefined => seen.find(({ what }) => what === `NAME=${name} ended`)?.atMs

  it.each([
    ['a new epoch', () => node.controller.forget('second', 1)],
    ['a revision that goes backwards', () => node.controller.forget('first', 1)],
  ])('(%s) lets instances be created, and none destroyed for a while', async (_name, restore) => {
    const [lost, fresh] = [service({ env: { NAME: 'lost' } }), service({ env: { NAME: 'fresh' } })]
    node.start()
    for (let revision = 1; revision < 5; revision += 1) node.controller.want([lost])
    await node.observed(lost.id, 'ready')
    const brokenAtMs = performance.now()
    restore()
    node.controller.want([fresh])
    await until('the lost one to be stopped after all', () => ended('lost'))
    expect(ended('lost')).toBeGreaterThanOrEqual(brokenAtMs + HELD_MS)
    expect(seen.map(({ what }) => what)).toEqual(['NAME=lost runs', 'NAME=fresh runs', 'NAME=lost ended'])
  })
  it('is noticed also when the executor was away meanwhile', async () => {
    const web = service({ env: { NAME: 'web' } })
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    await node.stop()
    const brokenAtMs = performance.now()
    node.controller.forget('second', 1)
    node.controller.want([])
    node.start()
    await until('it to be stopped after all', () => ended('web'))
    expect(node.controller.reports.at(-1)?.epoch).toBe('second')
    expect(ended('web')).toBeGreaterThanOrEqual(brokenAtMs + HELD_MS)
  })
  it('makes the executor join again when the controller has forgotten it', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    const before = node.running(web.id)
    node.controller.forget('second', 7)
    node.controller.want([web])
    await until('it to report again', () => node.controller.reports.at(-1)?.appliedRevision === 8)
    expect(node.controller.joins.length).toBe(2)
    expect(node.running(web.id)).toEqual(before)
  })
})

describe('an executor that starts', () => {
  it('takes up what runs: the same processes, never reported as anything but ready', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    const before = node.running(web.id)
    await node.stop()
    const reportsBefore = node.controller.reports.length
    node.start()
    await until('it to report', () => node.controller.reports.length > reportsBefore + 1)
    const told = node.controller.reports.slice(reportsBefore).flatMap(({ statuses }) => statuses ?? [])
    expect(new Set(told.map(({ observed }) => observed))).toEqual(new Set(['ready']))
    expect(node.running(web.id)).toEqual(before)
  })
  it('restarts what crashed while it was away', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    await node.stop()
    node.crash(web.id)
    node.start()
    expect(await node.observed(web.id, 'ready', ({ restarts }) => restarts === 1)).toMatchObject({
      handle: `${web.id}-2`,
    })
  })
  it('waits out the back-off of an instance that crashed too often', async () => {
    node.web = async () => 3
    const web = service()
    node.start()
    node.controller.want([web])
    const { nextStartAt } = await node.observed(web.id, 'backoff', ({ restarts }) => restarts === 8)
    await node.stop()
    node.start()
    await until('its next start', () => node.backend.calls.some((call) => call.startsWith(`create ${web.id}`)))
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(nextStartAt ?? '') - 20)
  })
  it('gives nobody the address of a running container although its address book is lost', async () => {
    const [web, other] = [service(), service()]
    node.start()
    node.controller.want([web])
    const { address } = await node.observed(web.id, 'ready')
    await node.stop()
    await rm(join(node.folder, 'node/addresses.json'))
    node.start()
    node.controller.want([other, web])
    expect((await node.observed(other.id, 'ready')).address).not.toBe(address)
    node.crash(web.id)
    expect((await node.observed(web.id, 'ready', ({ restarts }) => restarts === 1)).address).toBe(address)
  })
  it('neither loses nor repeats a line of what was said while it was away', async () => {
    let say: ((text: string) => Promise<void>) | undefined
    node.web = async (context) => {
      say = async (text) => await context.write('stdout', `${text}\n`)
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }))
      return 0
    }
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    await say?.('one')
    await until('it to be kept', () => readFileSync(node.logOf(web.appId), 'utf8').includes('"one"'))
    await node.stop()
    await say?.('two')
    node.start()
    await say?.('three')
    const streamId = crypto.randomUUID()
    node.controller.want(
      [web],
      [{ streamId, kind: 'logs', appId: web.appId, filter: 'web', lines: 10, isFollowing: false }],
    )
    await until('the lines', () => node.controller.streams.get(streamId)?.code === 1000)
    expect(node.controller.streams.get(streamId)?.lines.map(({ line }) => line)).toEqual(['one', 'two', 'three'])
  })
  it('destroys containers of ours that nobody wants, once it has read a set; those of others never', async () => {
    const host = new FakeBackend({ store: node.store })
    await host.create({ handle: 'leftover-1', properties: { 'croft.owner': 'executor', 'croft.instance': 'gone' } })
    await host.create({ handle: 'foreign', properties: { owner: 'somebody' } })
    node.controller.fault = 'error'
    node.start()
    node.controller.want([])
    await until('it to have joined', () => node.controller.joins.length === 1)
    await delay(100)
    expect([...node.store.records.keys()]).toContain('leftover-1')
    node.controller.fault = 'none'
    await until('the leftover to go', () => !node.store.records.has('leftover-1'))
    expect([...node.store.records.keys()]).toEqual(['foreign'])
  })
  it('keeps what was made in advance for a build, asks it for room, and ends it before its backend', async () => {
    const wanted: number[] = []
    let left = -1
    node.spare = {
      ids: ['spare-1'],
      image: null,
      open: () => undefined,
      makeRoom: (containers) => void wanted.push(containers),
      close: async () => void (left = (await node.backend.containers()).length),
    }
    const host = new FakeBackend({ store: node.store })
    const mark = (id: string) => ({ 'croft.owner': 'executor', 'croft.instance': id })
    for (const id of ['spare-1', 'spare-0']) await host.create({ handle: id, properties: mark(id) })
    node.start()
    const web = service()
    node.controller.want([web])
    await until('the other one to go', () => !node.store.records.has('spare-0'))
    await node.observed(web.id, 'ready')
    expect(node.store.records.has('spare-1')).toBe(true)
    expect(wanted[0]).toBe(3)
    await node.stop()
    expect(left).toBe(2)
  })
  it('moves to another range when the controller gives one; running containers keep their addresses', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    const { address } = await node.observed(web.id, 'ready')
    await node.stop()
    node.controller.network = '10.254.0.0/20'
    node.start()
    await until('it to join', () => node.controller.joins.length === 2)
    await until('it to report', () => node.controller.status(web.id)?.address === address)
    node.crash(web.id)
    const after = await node.observed(web.id, 'ready', ({ restarts }) => restarts === 1)
    expect(after.address).toMatch(/^10\.254\.0\./)
  })
  it('reports only when its backend can run a container', async () => {
    const backend = (): FakeBackend => node.backend
    node.start()
    backend().inject({ call: 'create', handle: 'admission-probe', error: new Error('no loop devices') })
    node.controller.want([])
    await until('it to have joined', () => node.controller.joins.length === 1)
    await delay(100)
    expect(node.controller.reports).toEqual([])
    await until('it to report after all', () => node.controller.reports.length > 0)
  })
})

describe('a placed build', () => {
  const succeeded = {
    outcome: 'succeeded',
    image: `sha256:${'b'.repeat(64)}`,
    processTypes: {},
    newLayers: 1,
    newBytes: 2,
  } as const

  it('runs once, and its result is reported for as long as it is wanted', async () => {
    let runs = 0
    node.runBuild = async () => {
      runs += 1
      return succeeded
    }
    const item = build()
    node.start()
    node.controller.want([item])
    expect((await node.observed(item.id, 'exited')).build).toEqual(succeeded)
    await node.stop()
    node.start()
    expect((await node.observed(item.id, 'exited')).build).toEqual(succeeded)
    node.controller.want([])
    await until('it to be forgotten', () => node.controller.statuses.length === 0)
    expect(runs).toBe(1)
  })
  it('has failed as interrupted when its executor ended meanwhile', async () => {
    node.runBuild = async (_item, _container, signal) => {
      signal.throwIfAborted() // a build is seen as starting before this is called
      return await new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      )
    }
    const item = build()
    node.start()
    node.controller.want([item])
    await node.observed(item.id, 'starting')
    await node.stop()
    node.runBuild = async () => succeeded
    node.start()
    expect((await node.observed(item.id, 'exited')).build).toMatchObject({ outcome: 'failed', reason: 'interrupted' })
  })
  it('that was interrupted leaves no container, also none that was made before it', async () => {
    const item = build()
    const mark = { 'croft.owner': 'executor', 'croft.instance': item.id }
    node.runBuild = async (_item, { handle }, signal) => {
      for (const one of [handle, 'spare-1']) await node.backend.create({ handle: one, properties: mark })
      return await new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      )
    }
    node.start()
    node.controller.want([item])
    await until('its containers', () => node.store.records.has('spare-1'))
    await node.stop()
    expect(node.store.records.size).toBe(2)
    node.start()
    await node.observed(item.id, 'exited')
    expect([...node.store.records.keys()]).toEqual([])
  })
  it('is canceled when it is to stop', async () => {
    let hasBegun = false
    let isCanceled = false
    node.runBuild = async (_item, _container, signal) => {
      hasBegun = true
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      isCanceled = true
      return succeeded
    }
    const item = build()
    node.start()
    node.controller.want([item])
    /* it is observed as starting before it is begun, and one that was not is never canceled */
    await until('it to begin', () => hasBegun)
    node.controller.want([{ ...item, intent: 'stop' }])
    await until('it to be gone', () => node.controller.statuses.length === 0)
    expect(isCanceled).toBe(true)
  })
})

describe('what an executor reports', () => {
  it('holds all statuses when something changed, and only a hash when nothing did', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    const count = node.controller.reports.length
    await until('two more reports', () => node.controller.reports.length >= count + 2)
    const later = node.controller.reports.slice(count)
    expect(later.some(({ statuses }) => statuses === undefined)).toBe(true)
    expect(new Set(later.map(({ statusHash }) => statusHash)).size).toBe(1)
  })
  it('is all of it again for a controller that has lost it', async () => {
    const web = service()
    node.start()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    node.controller.loseReports()
    await until('a full report', () => node.controller.status(web.id)?.observed === 'ready')
  })
})

describe('a stream of logs', () => {
  it('brings the newest kept lines, then what comes, of the named instances only', async () => {
    const say = new Map<string, (text: string) => Promise<void>>()
    node.web = async (context) => {
      const name = context.env.find((line) => line.startsWith('NAME='))?.slice(5) ?? ''
      say.set(name, async (text) => await context.write('stdout', `${text}\n`))
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }))
      return 0
    }
    const web = service({ env: { NAME: 'web' } })
    const worker = service({ env: { NAME: 'worker' } }, { appId: web.appId, type: 'worker' })
    node.start()
    node.controller.want([web, worker])
    await Promise.all([node.observed(web.id, 'ready'), node.observed(worker.id, 'ready')])
    for (const line of ['one', 'two', 'three']) await say.get('web')?.(line)
    await say.get('worker')?.('hidden')
    const streamId = crypto.randomUUID()
    const stream = { streamId, kind: 'logs', appId: web.appId, filter: 'web.1', lines: 2, isFollowing: true } as const
    node.controller.want([web, worker], [stream])
    const lines = (): string[] => node.controller.streams.get(streamId)?.lines.map(({ line }) => line) ?? []
    await until('the kept lines', () => lines().length === 2)
    await say.get('web')?.('four')
    await until('the new line', () => lines().length === 3)
    expect(lines()).toEqual(['two', 'three', 'four'])
    node.controller.want([web, worker], [stream])
    await until('the set to be applied', () => node.controller.reports.at(-1)?.appliedRevision === 3)
    expect(node.controller.dials).toEqual([streamId])
    node.controller.want([web, worker])
    await until('its end', () => node.controller.streams.get(streamId)?.code === 1000)
  })
})
