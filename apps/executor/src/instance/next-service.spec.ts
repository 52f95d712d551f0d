import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeBackend } from '@croft/garden-api/fake'
import { waitFor } from '@croft/kit'
import type { DesiredInstance, ServiceSpec } from '@croft/protocol'
import { build, service } from '../testing/desired.js'
import { FakeNode } from '../testing/fake-node.js'
import type { AddressBook } from './address-book.js'
import { newRecord } from './instance-record.js'

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

describe('the container made in advance for the instance that follows a build', () => {
  const IMAGE = `sha256:${'b'.repeat(64)}`
  const before = service()
  /** The same slot with what was built. */
  const after = (spec: Partial<ServiceSpec> = {}, item: Partial<DesiredInstance> = {}): DesiredInstance => {
    if (before.spec.kind !== 'service') throw new TypeError('a service is no build')
    return { ...before, id: crypto.randomUUID(), spec: { ...before.spec, image: IMAGE, ...spec }, ...item }
  }
  const spares = (): string[] => [...node.store.records.keys()].filter((handle) => handle.startsWith('service-'))
  const book = (): AddressBook =>
    JSON.parse(readFileSync(join(node.folder, 'node/addresses.json'), 'utf8')) as AddressBook
  const holders = (): string[] => Object.keys(book().assigned)
  let building: DesiredInstance
  /** A build of the app has ended; what is wanted of it is still to be said. */
  const built = async (types = ['web']): Promise<void> => {
    const processTypes = Object.fromEntries(types.map((type) => [type, { command: type, argv: [type] }]))
    node.runBuild = async (_item, { onImage }) => {
      onImage({ image: IMAGE, types })
      onImage({ image: IMAGE, types })
      return { outcome: 'succeeded', image: IMAGE, processTypes, newLayers: 1, newBytes: 2 }
    }
    building = { ...build(), appId: before.appId }
    node.start()
    node.controller.want([before])
    await node.observed(before.id, 'ready')
    node.controller.want([before, building])
    await node.observed(building.id, 'exited')
  }
  const made = async (): Promise<string> => {
    await until('it to be made', () => spares().length === 1)
    return spares()[0] ?? ''
  }

  it('becomes its first one, with its address, whatever its config is', async () => {
    await built()
    const handle = await made()
    const { address } = node.store.records.get(handle) ?? {}
    const web = after({ env: { PORT: '8080', GREETING: 'new' } })
    node.controller.want([before, web])
    expect(await node.observed(web.id, 'ready')).toMatchObject({ handle, address: `${address}:8080` })
    expect(node.store.records.get(handle)).toMatchObject({
      properties: { 'croft.instance': web.id, 'croft.app': web.appId },
      spec: { image: { uri: `croft:${IMAGE}` } },
    })
    expect(book().assigned[web.id]).toBe(address)
    expect(holders().filter((id) => id.startsWith('spare-'))).toEqual([])
    expect(Object.keys(book().resting)).not.toContain(address)
    expect(node.backend.calls.filter((call) => call.startsWith(`create ${web.id}`))).toEqual([])
  })
  it('is taken once: a restart makes its own at the same address, and nothing is left of the first', async () => {
    await built()
    await made()
    const web = after()
    node.controller.want([before, web])
    const { address } = await node.observed(web.id, 'ready')
    for (const process of node.store.records.get(spares()[0] ?? '')?.processes.values() ?? []) process.signal(9)
    const again = await node.observed(web.id, 'ready', ({ restarts }) => restarts === 1)
    expect(again).toMatchObject({ handle: `${web.id}-2`, address })
    expect(spares()).toEqual([])
  })
  it('is still the instance’s for an executor that starts, and goes with the instance', async () => {
    await built()
    const handle = await made()
    const web = after()
    node.controller.want([web])
    await node.observed(web.id, 'ready')
    const pids = (): number[] => [...(node.store.records.get(handle)?.processes.values() ?? [])].map(({ pid }) => pid)
    const before = pids()
    await node.stop()
    const reports = node.controller.reports.length
    node.start()
    await until('it to report', () => node.controller.reports.length > reports)
    expect(await node.observed(web.id, 'ready')).toMatchObject({ handle, restarts: 0 })
    expect(pids()).toEqual(before)
    node.controller.want([])
    await until('it to be gone', () => node.store.records.size === 0)
  })
  it.each<[string, DesiredInstance]>([
    ['its limits have changed', after({ limits: { ...before.spec.limits, pids: 64 } })],
    ['its image is another', after({ image: `sha256:${'c'.repeat(64)}` })],
    ['its app has another name', after({}, { appName: 'till' })],
  ])('goes when %s meanwhile, and the instance makes its own', async (_what, web) => {
    await built()
    await made()
    node.controller.want([before, web])
    expect(await node.observed(web.id, 'ready')).toMatchObject({ handle: `${web.id}-1` })
    await until('it to be gone', () => spares().length === 0)
    await until('its address to rest', () => Object.keys(book().resting).length > 0)
  })
  it('waits for whom it is for: another slot makes its own', async () => {
    await built()
    const handle = await made()
    const [second, first] = [after({}, { slot: 2 }), after()]
    node.controller.want([before, second])
    expect(await node.observed(second.id, 'ready')).toMatchObject({ handle: `${second.id}-1` })
    node.controller.want([before, second, first])
    expect(await node.observed(first.id, 'ready')).toMatchObject({ handle })
  })
  it('is not made where nothing of the app runs that the image has', async () => {
    await built(['worker'])
    const web = after()
    node.controller.want([before, web])
    await node.observed(web.id, 'ready')
    expect(node.backend.calls.filter((call) => call.startsWith('create service-'))).toEqual([])
  })
  it('is not made where memory is short, or where it cannot be: the instance makes its own', async () => {
    node.availableBytes = 2 ** 20
    await built()
    const web = after()
    node.controller.want([before, web])
    expect(await node.observed(web.id, 'ready')).toMatchObject({ handle: `${web.id}-1`, restarts: 0 })
    expect(node.backend.calls.filter((call) => call.startsWith('create service-'))).toEqual([])
  })
  it('that is being made is waited for, and one that comes to nothing costs no restart', async () => {
    let isAsked = false
    node.ensureImage = async (_app, image) => {
      if (image !== IMAGE || isAsked) return
      isAsked = true
      await until('the instance to be wanted', () => node.controller.reports.at(-1)?.appliedRevision === 3)
      throw new Error('it is nowhere')
    }
    await built()
    const web = after()
    node.controller.want([before, web])
    expect(await node.observed(web.id, 'ready')).toMatchObject({ handle: `${web.id}-1`, restarts: 0 })
    expect(isAsked).toBe(true)
  })
  it('stays whose it is although a planner looked at it before it was anybody’s', async () => {
    await built()
    const handle = await made()
    const web = after()
    node.backend.inject({ call: 'setProperty', handle, delayMs: 150 })
    node.controller.want([before, web])
    await until('it to be taken', () => node.backend.calls.includes(`setProperty ${handle}`))
    node.backend.inject({ call: 'properties', handle: `${before.id}-1`, delayMs: 400 })
    await until('it to be looked at again', () => node.backend.calls.includes(`lookup ${handle}`))
    expect(await node.observed(web.id, 'ready')).toMatchObject({ handle, restarts: 0 })
    expect(node.backend.calls).not.toContain(`destroy ${handle}`)
  })
  it('that has gone by itself is not taken', async () => {
    await built()
    node.store.lose(await made())
    const web = after()
    node.controller.want([before, web])
    expect(await node.observed(web.id, 'ready')).toMatchObject({ handle: `${web.id}-1`, restarts: 0 })
  })
  it.each<[string, number, () => unknown]>([
    ['nobody has taken it for a while', 200, () => undefined],
    ['the executor ends', 20_000, () => node.stop()],
  ])('goes when %s, with its address', async (_when, keptMs, happens) => {
    node.keptMs = keptMs
    await built()
    await made()
    await happens()
    await until('it to be gone', () => spares().length === 0)
    await until('its address to rest', () => holders().every((id) => !id.startsWith('spare-')))
  })

  describe('of an executor that is killed', () => {
    /** What the killed one has left: a record, a container and a book, in which the container is whose it says. */
    const left = async (instanceId: string, held: string): Promise<{ web: DesiredInstance; address: string }> => {
      const web = after()
      await mkdir(join(node.folder, 'node/instances'), { recursive: true })
      await writeFile(join(node.folder, 'node/instances', `${web.id}.json`), JSON.stringify(newRecord(web)))
      const address = '10.255.0.2'
      const assigned = { [held.replace('ID', web.id)]: address }
      const text = JSON.stringify({ network: '10.255.0.0/20', assigned, resting: {} })
      await writeFile(join(node.folder, 'node/addresses.json'), text)
      await new FakeBackend({ store: node.store }).create({
        handle: 'service-1',
        network: address,
        properties: { 'croft.owner': 'executor', 'croft.instance': instanceId.replace('ID', web.id) },
      })
      return { web, address }
    }
    it.each<[string, string, string, (address: string) => string | RegExp]>([
      ['before it was anybody’s', 'spare-1', 'spare-1', () => /^10\.255\.0\.(?!2:)\d+:8080$/],
      ['between container and address', 'ID', 'spare-1', () => /^10\.255\.0\.(?!2:)\d+:8080$/],
      ['before its process was started', 'ID', 'ID', (address) => new RegExp(`^${address}:8080$`)],
    ])('%s is destroyed, and the instance runs without a restart', async (_when, instanceId, held, expected) => {
      const { web, address } = await left(instanceId, held)
      node.start()
      node.controller.want([web])
      const status = await node.observed(web.id, 'ready')
      expect(status).toMatchObject({ handle: `${web.id}-1`, restarts: 0 })
      expect(status.address).toMatch(expected(address))
      await until('the other one to go', () => spares().length === 0)
      await until('nobody else to hold an address', () => holders().join() === web.id)
    })
  })
})
