import { Inject, Injectable } from '@nestjs/common'
import { messageOf, type Logger } from '@croft/kit'
import type { DataSource, EntityManager } from 'typeorm'
import { bumpRevision } from '../db/revision.js'
import { NotLeader, type Leadership } from '../db/leader.js'
import { EPOCH } from '../db/signals.module.js'
import { InstanceWriter } from '../instance/instance-writer.js'
import { DEFAULT_DRAIN_MS, hasTraffic } from '../release/service-spec.js'
import { DATA_SOURCE, LOGGER } from '../tokens.js'
import { diffApp, mayDrop, type AppDiff, type RunningInstance } from './diff.js'
import type { NodeHealth } from './node-health.js'
import type { Placement } from './place.js'
import { placements, shapeOf } from './placements.js'
import { retire, type RetiringInstance } from './retire.js'
import { ackOf, healthOf, presenceOf, servicesOf, slotsOf, type LoopClock } from './view.js'
import type { World, WorldApp, WorldInstance } from './world.js'

/**
 * Keeps slots filled and placed, and ends what nobody wants: load, decide, apply. While a deployment is active its app's slots are
 * the deployer's; here only instances on silent nodes are replaced. Never stops what a router may still route to.
 */
@Injectable()
export class Reconciler {
  #lost: string | null = null
  #alarm = ''

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(InstanceWriter) private readonly instances: InstanceWriter,
    @Inject(EPOCH) private readonly epoch: string,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One pass; whether anything was written. */
  async pass(world: World, clock: LoopClock, leadership: Leadership): Promise<boolean> {
    const health = healthOf(world, clock)
    const changes = [
      await this.#showLoss(health, leadership),
      await this.#fill(world, health, leadership),
      await this.#place(world, health, leadership),
      await this.#retire(world, clock, leadership),
    ]
    return changes.includes(true)
  }

  /** What is on a lost node leaves the route table, and comes back with it. */
  async #showLoss(health: NodeHealth, leadership: Leadership): Promise<boolean> {
    const lost = [...health.states].filter(([, state]) => state === 'lost').map(([nodeId]) => nodeId)
    const key = `${lost.toSorted().join(' ')} ${health.isMassLoss}`
    if (key === (this.#lost ?? ' false')) return false
    await this.#write(leadership, async (manager) => {
      await bumpRevision(manager, 'routes')
    })
    this.#lost = key
    if (health.isMassLoss)
      this.logger.error('nodes-lost', { nodes: lost, why: 'over half of all nodes: nothing is stopped' })
    else if (lost.length > 0) this.logger.error('nodes-lost', { nodes: lost })
    return true
  }

  async #fill(world: World, health: NodeHealth, leadership: Leadership): Promise<boolean> {
    const services = servicesOf(world)
    const deploying = new Set(world.deployments.map((deployment) => deployment.appId))
    const diffs = new Map<WorldApp, AppDiff>()
    for (const app of world.apps.values()) {
      const diff = diffApp({
        wanted: slotsOf(app, app.currentRelease),
        version: app.currentRelease,
        isDeploying: deploying.has(app.id),
        instances: (services.get(app.id) ?? []).flatMap((instance) =>
          runningView(instance, presenceOf(world, health, instance.nodeId)),
        ),
      })
      if (diff.start.length + diff.drain.length + diff.drop.length > 0) diffs.set(app, diff)
    }
    const drops = [...diffs.values()].reduce((sum, diff) => sum + diff.drop.length, 0)
    const isDropAllowed = mayDrop(drops, world.instances.length, health.isMassLoss)
    let isChanged = false
    for (const [app, diff] of diffs) {
      const kept = isDropAllowed ? diff : { ...diff, drop: [] }
      isChanged = (await this.#applyDiff(app, kept, leadership)) || isChanged
    }
    return isChanged
  }

  async #applyDiff(app: WorldApp, diff: AppDiff, leadership: Leadership): Promise<boolean> {
    if (diff.start.length + diff.drain.length + diff.drop.length === 0) return false
    try {
      await this.#write(leadership, async (manager) => {
        await manager.query('SELECT FROM app WHERE id = $1 FOR NO KEY UPDATE', [app.id])
        await this.instances.drain(manager, [...diff.drain, ...diff.drop])
        for (const slot of diff.start) {
          const release = app.releases.get(slot.releaseVersion)
          const formation = app.formation.find((row) => row.type === slot.type)
          if (release === undefined || formation === undefined) continue
          await this.instances.insertService(manager, {
            teamId: app.teamId,
            appId: app.id,
            type: slot.type,
            slot: slot.slot,
            releaseId: release.id,
            releaseVersion: release.version,
            limits: formation.limits,
          })
        }
      })
    } catch (error) {
      if (error instanceof NotLeader) throw error
      this.logger.error('app-not-reconciled', { app: app.name, why: messageOf(error), error })
      return false
    }
    this.logger.info('app-reconciled', {
      app: app.name,
      start: diff.start.map((slot) => `${slot.type}.${slot.slot} v${slot.releaseVersion}`),
      drain: diff.drain,
      drop: diff.drop,
    })
    return true
  }

  async #place(world: World, health: NodeHealth, leadership: Leadership): Promise<boolean> {
    const waiting = world.instances.filter((instance) => instance.intent === 'run' && instance.nodeId === null)
    if (waiting.length === 0) return false
    const decided = placements(
      waiting.map((instance) => ({ ...shapeOf(instance), instanceId: instance.id })),
      world,
      health,
    )
    const known = new Map(waiting.map((instance) => [instance.id, instance.placementError]))
    const placed = decided.flatMap((one) => (one.kind === 'placed' ? [one] : []))
    const errors = decided.flatMap((one) =>
      one.kind === 'unplaceable' && one.error !== known.get(one.instanceId) ? [one] : [],
    )
    if (placed.length + errors.length === 0) return false
    await this.#write(leadership, (manager) => this.instances.place(manager, placed, errors))
    this.#logPlacements(placed, errors)
    return true
  }

  #logPlacements(
    placed: readonly Extract<Placement, { kind: 'placed' }>[],
    errors: readonly Extract<Placement, { kind: 'unplaceable' }>[],
  ): void {
    for (const { instanceId, nodeId } of placed)
      this.logger.info('instance-placed', { instance: instanceId, node: nodeId })
    for (const { instanceId, error } of errors)
      this.logger.warn('instance-unplaceable', { instance: instanceId, why: error })
  }

  async #retire(world: World, clock: LoopClock, leadership: Leadership): Promise<boolean> {
    const routers = world.routers.map((router) => ackOf(router, world, this.epoch, clock.timeScale))
    const decided = retire(
      world.instances.flatMap((instance) => retiringView(instance, world)),
      routers,
    )
    const closedBuilds = world.instances
      .filter((instance) => instance.kind === 'build' && instance.intent === 'run' && !instance.isBuildOpen)
      .map((instance) => instance.id)
    this.#alarmSilent(decided.silentRouters)
    const stop = [...decided.stop, ...closedBuilds]
    if (stop.length + decided.gone.length === 0) return false
    await this.#write(leadership, async (manager) => {
      await this.instances.stopAll(manager, stop)
      await this.instances.markGone(manager, decided.gone)
    })
    this.logger.info('instances-retired', { stop, gone: decided.gone })
    return true
  }

  #alarmSilent(routers: readonly string[]): void {
    const key = routers.join(' ')
    if (key === this.#alarm) return
    this.#alarm = key
    if (key !== '')
      this.logger.error('routers-silent', { routers, effect: 'instances they may still route to are not stopped' })
  }

  async #write(leadership: Leadership, work: (manager: EntityManager) => Promise<void>): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await leadership.guard(manager)
      await work(manager)
    })
  }
}

function runningView(instance: WorldInstance, node: RunningInstance['node']): RunningInstance[] {
  if (instance.intent !== 'run' || instance.releaseVersion === null) return []
  return [
    {
      id: instance.id,
      type: instance.type,
      slot: instance.slot,
      releaseVersion: instance.releaseVersion,
      isReady: instance.status?.observed === 'ready',
      node,
      createdAtMs: instance.createdAtMs,
    },
  ]
}

function retiringView(instance: WorldInstance, world: World): RetiringInstance[] {
  if (instance.intent === 'run') return []
  const observed = instance.status?.observed
  return [
    {
      id: instance.id,
      intent: instance.intent,
      hasTraffic: instance.kind === 'service' && hasTraffic(instance.type),
      drainRevision: instance.drainRevision,
      drainingForMs: instance.drainStartedAtMs === null ? 0 : world.nowMs - instance.drainStartedAtMs,
      drainMs: world.apps.get(instance.appId)?.settings.drainMs ?? DEFAULT_DRAIN_MS,
      isEnded: instance.nodeId === null || observed === undefined || observed === 'exited',
      isPlaced: instance.nodeId !== null,
    },
  ]
}
