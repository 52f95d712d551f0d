import type { DeploymentId } from '@croft/kit'
import type { Endpoint } from '@croft/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import type { DeployEnd } from '../../../apps/controller/src/deploy/deploy.service.js'
import { ControlRig, hostOf, type App } from './control-rig.js'
import { ScriptedNode } from './scripted-node.js'
import { ScriptedRouter } from './scripted-router.js'

/** The controller of a file's specs. */
export let rig: ControlRig
/** The executor of a spec; it follows a script. */
export let node: ScriptedNode
/** The router of a spec. */
export let router: ScriptedRouter

/**
 * One controller for the specs of a file, and an executor and a router for each of them. No spec may stop an instance that a
 * router still has in its table: it would lose requests.
 */
export function useScriptedPlatform(): void {
  let stoppedWhileRouted: string[]
  beforeAll(async () => {
    rig = await ControlRig.start()
  })
  afterAll(async () => {
    await rig?.close()
  })
  beforeEach(async () => {
    stoppedWhileRouted = []
    node = new ScriptedNode(rig.nodeSocket)
    router = new ScriptedRouter(rig.controlSocket)
    node.onStop = (item) => {
      if (router.routesTo(item.id)) stoppedWhileRouted.push(item.id)
    }
    await node.start()
    await router.start()
  })
  afterEach(async () => {
    router.isSilent = false
    await router.stop()
    await node.stop()
    expect(stoppedWhileRouted).toEqual([])
  })
}

/** An instance as `ps` shows it. */
export interface Ps {
  id: string
  instance: string
  state: string
  release: number
  address: string | null
}

let count = 0
export async function newApp(): Promise<App> {
  count += 1
  return rig.createApp(`app-${count}`)
}

/** Deploys a release and waits for its end. */
export async function deploy(app: App, types?: string[], formation?: Record<string, number>): Promise<DeployEnd> {
  return rig.finish((await rig.release(app, types, formation)).id)
}

export async function ps(app: App): Promise<Ps[]> {
  return (await rig.api<Ps[]>('GET', `/apps/${app.name}/ps`)).body
}

/** What the router has for an app. */
export function endpoints(app: App): Endpoint[] {
  return router.route(hostOf(app.name))?.endpoints ?? []
}

/** The state of a deployment in the database. */
export async function stateOf(id: DeploymentId): Promise<string> {
  const rows = await rig.dataSource.query<{ state: string }[]>('SELECT state FROM deployment WHERE id = $1', [id])
  return rows[0]?.state ?? ''
}
