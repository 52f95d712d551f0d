import { waitFor } from '@croft/kit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ControlRig, hostOf, type App } from './support/control-rig.js'
import { ScriptedNode } from './support/scripted-node.js'
import { ScriptedRouter } from './support/scripted-router.js'

/** Several nodes, and the loss of some. Time runs four times as fast: suspect after 1 s, lost after 2.5 s. */

let rig: ControlRig
let nodes: ScriptedNode[]
let router: ScriptedRouter
let count = 0

beforeAll(async () => {
  rig = await ControlRig.start({ timeScale: 4 })
})
afterAll(async () => {
  await rig?.close()
})
beforeEach(async () => {
  await rig.dataSource.query('UPDATE app SET destroyed_at = now()')
  await rig.dataSource.query('DELETE FROM instance_status')
  await rig.dataSource.query(`UPDATE instance SET gone_at = now(), intent = 'stop'`)
  await rig.dataSource.query(`UPDATE instance SET node_id = NULL`)
  await rig.dataSource.query('DELETE FROM node')
  nodes = ['a', 'b', 'c'].map((name) => new ScriptedNode(rig.nodeSocket, name))
  for (const node of nodes) await node.start()
  router = new ScriptedRouter(rig.controlSocket)
  await router.start()
})
afterEach(async () => {
  await router.stop()
  for (const node of nodes) await node.stop()
})

interface Ps {
  id: string
  state: string
  node: string | null
}
const ps = async (app: App): Promise<Ps[]> => (await rig.api<Ps[]>('GET', `/apps/${app.name}/ps`)).body
const endpoints = (app: App) => router.route(hostOf(app.name))?.endpoints ?? []

async function running(quantity: number): Promise<App> {
  count += 1
  const app = await rig.createApp(`fleet-${count}`)
  expect(await rig.finish((await rig.release(app, ['web'], { web: quantity })).id)).toEqual({ state: 'succeeded' })
  return app
}

describe('several nodes', () => {
  it('share the instances of an app, each from a range of its own', async () => {
    const app = await running(3)
    expect(new Set((await ps(app)).map(({ node }) => node))).toEqual(new Set(['a', 'b', 'c']))
    expect(new Set(nodes.map(({ network }) => network)).size).toBe(3)
  })

  it('of which one falls silent: its instance is replaced while it is still routed, then dropped', async () => {
    const app = await running(3)
    const lost = (await ps(app)).find(({ node }) => node === 'b')
    await nodes[1]?.stop()
    await waitFor(() => endpoints(app).length === 4, { what: 'the replacement beside it', timeoutMs: 10_000 })
    await waitFor(() => !endpoints(app).some(({ instanceId }) => instanceId === lost?.id), {
      what: 'the drop',
      timeoutMs: 10_000,
    })
    await waitFor(async () => (await ps(app)).filter(({ state }) => state === 'running').length === 3, {
      what: 'three running elsewhere',
      timeoutMs: 10_000,
    })
    expect((await ps(app)).filter(({ state }) => state === 'running').map(({ node }) => node)).not.toContain('b')
    expect(endpoints(app)).toHaveLength(3)
  })

  it('of which most fall silent at once: everything stays routed, and nothing is stopped', async () => {
    const app = await running(3)
    const before = (await ps(app)).map(({ id }) => id)
    await Promise.all([nodes[0]?.stop(), nodes[1]?.stop()])
    await waitFor(async () => (await ps(app)).filter(({ state }) => state === 'lost').length === 2, {
      what: 'two lost ones',
      timeoutMs: 10_000,
    })
    await waitFor(() => endpoints(app).length === 5, { what: 'replacements beside all of them', timeoutMs: 10_000 })
    const now = await ps(app)
    expect(before.every((id) => now.some((instance) => instance.id === id))).toBe(true)
  })
})
