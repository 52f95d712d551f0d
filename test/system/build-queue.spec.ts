import { waitFor, type BuildId, type TeamId } from '@croft/kit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AppService } from '../../apps/controller/src/app/app.service.js'
import { BuildService, type BuildEnd } from '../../apps/controller/src/build/build.service.js'
import type { Build } from '../../apps/controller/src/build/build.entity.js'
import { SettingsService } from '../../apps/controller/src/settings/settings.service.js'
import { ControlRig, type App } from './support/control-rig.js'
import { ScriptedNode } from './support/scripted-node.js'

/** Whose build starts, and when: a real controller and database, with an executor that follows a script. */
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const GIB = 1024 ** 3

describe.runIf(isLong)('a queued build', () => {
  let rig: ControlRig
  let node: ScriptedNode
  let count = 0
  beforeAll(async () => {
    rig = await ControlRig.start()
  })
  afterAll(async () => await rig?.close())
  beforeEach(async () => {
    node = new ScriptedNode(rig.nodeSocket)
    await node.start()
  })
  afterEach(async () => {
    for (const { id, state } of await rows()) {
      if (state === 'queued' || state === 'running') await builds().cancel(id, 'the test is over')
    }
    await rig.service(SettingsService).set('buildMemoryMib', null)
    await node.stop()
  })

  const builds = (): BuildService => rig.service(BuildService)
  const rows = (): Promise<{ id: BuildId; state: string; name: string }[]> =>
    rig.dataSource.query(
      `SELECT b.id, b.state, a.name FROM build b JOIN app a ON a.id = b.app_id ORDER BY b.started_at NULLS LAST, b.id`,
    )
  const running = async (): Promise<{ id: BuildId; name: string }[]> =>
    (await rows()).filter(({ state }) => state === 'running')
  const queue = (app: App): Promise<Build> =>
    builds().create({
      app,
      pushId: null,
      commit: '0'.repeat(40),
      tree: '0'.repeat(40),
      stack: 'debian-12',
      isClean: false,
    })
  /** Waits for a build and collects what whoever waits is told. */
  const follow = (id: BuildId): { told: string[]; end: Promise<BuildEnd> } => {
    const told: string[] = []
    const options = { onLine: () => undefined, onWaiting: (why: string) => told.push(why) }
    return { told, end: builds().wait(id, { ...options, signal: AbortSignal.timeout(60_000) }) }
  }
  /** The node says that it has so much, and the controller has heard it. */
  const report = async (totalGib: number, availableGib: number): Promise<void> => {
    node.memoryBytes = totalGib * GIB
    node.availableMemoryBytes = Math.floor(availableGib * GIB)
    await waitFor(
      async () => {
        const [heard] =
          await rig.dataSource.query<{ capacity: { memoryBytes: number; availableMemoryBytes?: number } }[]>(
            'SELECT capacity FROM node',
          )
        return (
          heard?.capacity.memoryBytes === node.memoryBytes &&
          heard.capacity.availableMemoryBytes === node.availableMemoryBytes
        )
      },
      { what: 'the report', timeoutMs: 10_000 },
    )
  }

  it('waits, and says why, until the node has its memory free', async () => {
    await report(8, 1.29)
    const build = await queue(await rig.createApp(`memory-${(count += 1)}`))
    const { told, end } = follow(build.id)
    await waitFor(() => told.length > 0, { what: 'the reason', timeoutMs: 10_000 })
    expect(told).toEqual(['Waiting for 2 GiB of memory: node-1 has 1.2 GiB free'])
    expect(await running()).toEqual([])
    await report(8, 4)
    await waitFor(async () => (await running()).length === 1, { what: 'the build to start', timeoutMs: 12_000 })
    await builds().cancel(build.id, 'enough')
    expect((await end).kind).toBe('canceled')
  })

  it('that no node could ever hold fails at once, with what to do', async () => {
    await report(1, 1)
    await rig.service(SettingsService).set('buildMemoryMib', 1536)
    const build = await queue(await rig.createApp(`memory-${(count += 1)}`))
    expect(await follow(build.id).end).toMatchObject({
      kind: 'failed',
      reason: 'out-of-memory',
      message: 'a build may use 1.5 GiB of memory, and no node has as much (node-1, the largest: 1 GiB)',
      suggestion: 'let builds use less: croft settings:set build-memory=MIB',
    })
  })

  it('may use half of a small node', async () => {
    await report(2, 1.5)
    await queue(await rig.createApp(`memory-${(count += 1)}`))
    const item = await waitFor(() => [...node.items.values()].find(({ spec }) => spec.kind === 'build'), {
      what: 'the build on its node',
      timeoutMs: 10_000,
    })
    expect(item.spec.limits.memoryBytes).toBe(GIB)
  })

  it('of a team does not wait for twenty of another one', async () => {
    await report(16, 16)
    const [team] = await rig.dataSource.query<{ id: TeamId }[]>(`INSERT INTO team (name) VALUES ('other') RETURNING id`)
    const who = { tokenId: 'rig', role: 'operator' as const, name: 'operator' }
    const others = await rig.service(AppService).create('fair-other', { ...who, teamId: team?.id as TeamId })
    const own: App[] = []
    for (let n = 0; n < 20; n += 1) own.push(await rig.createApp(`fair-${n}`))
    for (const app of own) await queue(app)
    await queue(others)
    const order: string[] = []
    while (order.length < 21) {
      const next = await waitFor(async () => (await running())[0], { what: 'the next build', timeoutMs: 12_000 })
      expect(await running()).toHaveLength(1)
      order.push(next.name)
      await builds().cancel(next.id, 'its turn is over')
    }
    expect(order.slice(0, 3)).toEqual(['fair-0', 'fair-other', 'fair-1'])
    expect(new Set(order).size).toBe(21)
  })
})
