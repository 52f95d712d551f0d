import { waitFor } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cleanHome, releaseHomeIndex, reserveHomeIndex } from '@croft/backend-linux'
import { join } from 'node:path'
import type { Backend } from '@croft/garden-api'
import { createGardenClient } from '@croft/garden-api/http'
import { ask, ExecutorRig } from './support/executor-rig.js'
import { GardenProgram } from './support/garden-rig.js'

/** An executor without a backend of its own: it uses one that is another process, by its address. */

let rig: ExecutorRig
let garden: GardenProgram
let client: Backend
beforeEach(async () => {
  rig = await ExecutorRig.make()
  garden = await GardenProgram.make()
  client = garden.client()
})
afterEach(async () => {
  await rig.close()
  await garden.end('SIGTERM')
  await garden.close()
})

const handles = async (): Promise<string[]> => (await client.containers()).map(({ handle }) => handle)

describe('an executor over croft garden', () => {
  afterEach(async () => {
    await garden.end('SIGTERM')
    const index = await reserveHomeIndex(garden.depot)
    const run = `/run/croft/${index}`
    await cleanHome({
      index,
      depotDir: join(garden.depot, 'containers'),
      runDir: join(run, 'containers'),
      runcRoot: join(run, 'runc'),
    })
    await releaseHomeIndex(garden.depot)
  })

  it('runs its instances there, keeps them over its own death, restarts what crashes, and leaves nothing', async () => {
    await garden.start('--network', rig.controller.network)
    rig.start('--garden', garden.address)
    const web = rig.web()
    rig.controller.want([web])
    const { address, handle } = await rig.observed(web.id, 'ready')
    const before = await ask(address)
    expect(await handles()).toEqual([handle])

    await rig.end('SIGKILL')
    expect(await ask(address)).toBe(before)
    rig.start('--garden', garden.address)
    await rig.observed(web.id, 'ready')
    expect(await ask(address)).toBe(before)

    await ask(address, '/crash').catch(() => undefined)
    const after = await rig.observed(web.id, 'ready', ({ restarts }) => restarts === 1)
    expect(after.address).toBe(address)
    rig.controller.want([])
    await waitFor(async () => (await handles()).length === 0, { what: 'everything to be gone', timeoutMs: 20_000 })
  })

  it('keeps its instances while the backend is away, and hears again how they end when it is back', async () => {
    await garden.start('--network', rig.controller.network)
    rig.start('--garden', garden.address)
    const web = rig.web()
    rig.controller.want([web])
    const { address } = await rig.observed(web.id, 'ready')
    const before = await ask(address)
    await garden.end('SIGKILL')
    expect(await ask(address)).toBe(before)
    await waitFor(async () => (await rig.log()).includes('backend-away'), { what: 'it to notice', timeoutMs: 5_000 })
    await garden.start('--network', rig.controller.network)
    await waitFor(async () => (await ask(address, '/crash').catch(() => 'crashed')) === 'crashed', {
      what: 'the crash',
      timeoutMs: 5_000,
    })
    const after = await rig.observed(web.id, 'ready', ({ restarts }) => restarts === 1)
    expect(after).toMatchObject({ address, exit: { code: 7 } })
    rig.controller.want([])
    await waitFor(async () => (await handles()).length === 0, { what: 'everything to be gone', timeoutMs: 20_000 })
  })
})

/** Any backend, as docs/writing-a-backend.md tells its author to try it; without an address the fake, started as a program. */
describe('an executor over a backend by its address', () => {
  it('is admitted by its probe, runs what it is given, and removes it', async () => {
    const named = process.env['CROFT_GARDEN_ADDRESS']
    if (named === undefined) await garden.start('--backend', 'fake')
    const address = named ?? garden.address
    const backend = createGardenClient({ address })
    const instances = async (id: string): Promise<string[]> =>
      (await backend.containers()).map(({ handle }) => handle).filter((handle) => handle.startsWith(id))
    rig.start('--garden', address)
    const worker = rig.web('', {
      command: ['/cnb/process/web'],
      port: null,
      health: { kind: 'uptime', uptimeMs: 100 },
    })
    rig.controller.want([worker])
    const { handle } = await rig.observed(worker.id, 'ready')
    expect(await instances(worker.id)).toEqual([handle])
    expect(await (await backend.lookup(handle ?? '')).processes()).toMatchObject([{ state: 'running' }])
    rig.controller.want([])
    await waitFor(async () => (await instances(worker.id)).length === 0, { what: 'it to be gone', timeoutMs: 20_000 })
  })
})
