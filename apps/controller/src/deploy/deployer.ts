import { Inject, Injectable } from '@nestjs/common'
import { messageOf, type DeploymentId, type InstanceId, type Logger, type NodeId } from '@croft/kit'
import type { DataSource, EntityManager } from 'typeorm'
import { bumpRevision, type RevisionName } from '../db/revision.js'
import { NotLeader, type Leadership } from '../db/leader.js'
import { EPOCH } from '../db/signals.module.js'
import { notify } from '../db/signals.js'
import { EventService } from '../event/event.service.js'
import { bumpAll, InstanceWriter } from '../instance/instance-writer.js'
import { FormationService } from '../release/formation.service.js'
import { APP_PORT, DEFAULT_BOOT_TIMEOUT_MS, hasTraffic } from '../release/service-spec.js'
import type { NodeHealth } from '../schedule/node-health.js'
import type { PlacedInstance } from '../schedule/place.js'
import { placementOf, shapeOf } from '../schedule/placements.js'
import { ackOf, healthOf, isOfDeployment, servicesOf, slotsOf, type LoopClock } from '../schedule/view.js'
import type { World, WorldApp, WorldDeployment, WorldInstance } from '../schedule/world.js'
import { DATA_SOURCE, LOGGER } from '../tokens.js'
import { explain } from './cause.js'
import { deploymentMachine, type DeploymentState } from './deployment.machine.js'
import { nextSteps, type InstanceView, type Situation, type Step } from './strategy.js'

/** What is known of the room on the nodes. */
interface Room {
  world: World
  health: NodeHealth
  /** What this pass has placed. */
  taken: PlacedInstance[]
}

type PlacedStep = Exclude<Step, { kind: 'start' }> | (Extract<Step, { kind: 'start' }> & { nodeId?: NodeId })

/**
 * The writer of `deployment` and of `app.current_release`: level-triggered, one pass looks at every active deployment and takes the
 * steps that are due. Each pass's steps are one transaction, in which the deployment still has to be in the state that was judged.
 */
@Injectable()
export class Deployer {
  /**
   * Instance → the table revision when it was first seen ready: acknowledging that one or a later one is enough. Only a memory: after
   * a restart the present revision is taken, which merely waits for one more acknowledgement.
   */
  readonly #readyAt = new Map<InstanceId, number>()

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(InstanceWriter) private readonly instances: InstanceWriter,
    @Inject(FormationService) private readonly formation: FormationService,
    @Inject(EventService) private readonly events: EventService,
    @Inject(EPOCH) private readonly epoch: string,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One pass; whether anything was written. */
  async pass(world: World, clock: LoopClock, leadership: Leadership): Promise<boolean> {
    const services = servicesOf(world)
    const room: Room = { world, health: healthOf(world, clock), taken: [] }
    this.#forget(world)
    let isChanged = false
    for (const deployment of world.deployments) {
      const app = world.apps.get(deployment.appId)
      if (app === undefined) continue
      if (app.isDestroyed) {
        isChanged = (await this.#cancelDestroyed(deployment)) || isChanged
        continue
      }
      const situation = this.#situation(world, app, deployment, services.get(app.id) ?? [])
      const steps = nextSteps(situation)
      if (steps.length === 0) continue
      try {
        await this.#apply(app, deployment, this.#placed(app, steps, room), leadership)
        isChanged = true
      } catch (error) {
        if (error instanceof NotLeader) throw error
        this.logger.error('deployment-step-failed', {
          app: app.name,
          deployment: deployment.id,
          why: messageOf(error),
          error,
        })
      }
    }
    return isChanged
  }

  #situation(world: World, app: WorldApp, deployment: WorldDeployment, services: readonly WorldInstance[]): Situation {
    return {
      state: deployment.state,
      wanted: slotsOf(app, deployment.releaseVersion),
      formerWanted: slotsOf(app, deployment.previousVersion),
      instances: services
        .filter((instance) => instance.intent === 'run')
        .map((instance) => this.#view(world, deployment, instance)),
      bootTimeoutMs: app.settings.bootTimeoutMs ?? DEFAULT_BOOT_TIMEOUT_MS,
      stateAgeMs: world.nowMs - deployment.updatedAtMs,
    }
  }

  #view(world: World, deployment: WorldDeployment, instance: WorldInstance): InstanceView {
    const { status } = instance
    const isNew = isOfDeployment(instance, deployment)
    const isFormer = instance.releaseVersion === deployment.previousVersion
    return {
      id: instance.id,
      type: instance.type,
      slot: instance.slot,
      side: isNew ? 'new' : isFormer ? 'former' : 'stray',
      observed: status?.observed ?? null,
      isServing: this.#isServing(world, instance),
      ageMs: world.nowMs - instance.createdAtMs,
      placementError: instance.nodeId === null ? instance.placementError : null,
      reason: status?.reason ?? null,
      message: status?.message ?? null,
      crashesBeforeReady: status?.crashesBeforeReady ?? 0,
      lastLines: status?.lastLines ?? [],
    }
  }

  #isServing(world: World, instance: WorldInstance): boolean {
    if (instance.status?.observed !== 'ready') {
      this.#readyAt.delete(instance.id)
      return false
    }
    if (!hasTraffic(instance.type)) return true
    const revision = this.#readyAt.get(instance.id) ?? world.routesRevision
    this.#readyAt.set(instance.id, revision)
    return world.routers.every((router) => ackOf(router, world, this.epoch, 1).appliedRevision >= revision)
  }

  #forget(world: World): void {
    if (this.#readyAt.size === 0) return
    const active = new Set(world.deployments.map((deployment) => deployment.appId))
    const known = new Set(world.instances.filter(({ appId }) => active.has(appId)).map(({ id }) => id))
    for (const id of this.#readyAt.keys()) if (!known.has(id)) this.#readyAt.delete(id)
  }

  /** The steps, with a node for what they start. */
  #placed(app: WorldApp, steps: readonly Step[], { world, health, taken }: Room): PlacedStep[] {
    return steps.map((step) => {
      const limits = step.kind === 'start' ? app.formation.find((row) => row.type === step.type)?.limits : undefined
      if (step.kind !== 'start' || limits === undefined) return step
      const shape = shapeOf({ appId: app.id, type: step.type, slot: step.slot, kind: 'service', limits })
      const nodeId = placementOf(shape, world, health, taken)
      if (nodeId === null) return step
      taken.push({ ...shape, nodeId })
      return { ...step, nodeId }
    })
  }

  async #apply(
    app: WorldApp,
    deployment: WorldDeployment,
    steps: readonly PlacedStep[],
    leadership: Leadership,
  ): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await leadership.guard(manager)
      await manager.query('SELECT FROM app WHERE id = $1 FOR NO KEY UPDATE', [app.id])
      const rows = await manager.query<{ state: DeploymentState }[]>(
        'SELECT state FROM deployment WHERE id = $1 FOR UPDATE',
        [deployment.id],
      )
      if (rows[0]?.state !== deployment.state) return // canceled meanwhile: the next pass sees it
      const nodes = steps.flatMap((step) => (step.kind === 'start' && step.nodeId !== undefined ? [step.nodeId] : []))
      await bumpAll(
        manager,
        nodes.map((id): RevisionName => `node:${id}`),
      )
      const drained = steps.flatMap((step) => (step.kind === 'drain' ? [step.instance] : []))
      await this.instances.drain(manager, drained)
      for (const step of steps) await this.#take(manager, app, deployment, step)
    })
    this.logger.info('deployment-step', {
      app: app.name,
      deployment: deployment.id,
      release: deployment.releaseVersion,
      steps: steps.map((step) => (step.kind === 'start' ? `start ${step.side} ${step.type}.${step.slot}` : step.kind)),
    })
  }

  async #take(manager: EntityManager, app: WorldApp, deployment: WorldDeployment, step: PlacedStep): Promise<void> {
    switch (step.kind) {
      case 'drain':
        return
      case 'start':
        return this.#start(manager, app, deployment, step)
      case 'roll':
        await moveDeployment(manager, deployment.id, 'roll')
        return
      case 'succeed':
        return this.#succeed(manager, app, deployment)
      case 'revert': {
        const text = explain(step.failure, {
          appName: app.name,
          version: deployment.releaseVersion,
          port: app.releases.get(deployment.releaseVersion)?.port ?? APP_PORT,
          bootTimeoutMs: app.settings.bootTimeoutMs ?? DEFAULT_BOOT_TIMEOUT_MS,
        })
        const reason = step.failure.reason ?? step.failure.kind
        await moveDeployment(manager, deployment.id, 'revert', {
          reason,
          message: [text.cause, text.suggestion, ...text.lastLines].join('\n'),
        })
        await this.#event(manager, app, 'deployment-failed', `v${deployment.releaseVersion} failed: ${text.cause}`)
        return
      }
      case 'fail':
        await moveDeployment(manager, deployment.id, 'fail')
        return
    }
  }

  async #start(
    manager: EntityManager,
    app: WorldApp,
    deployment: WorldDeployment,
    step: Extract<PlacedStep, { kind: 'start' }>,
  ): Promise<void> {
    const version = step.side === 'new' ? deployment.releaseVersion : deployment.previousVersion
    const release = version === null ? undefined : app.releases.get(version)
    const formation = app.formation.find((row) => row.type === step.type)
    if (release === undefined || formation === undefined)
      throw new Error(`nothing to start ${step.type} of ${app.name} from`)
    const { id } = await this.instances.insertService(manager, {
      teamId: app.teamId,
      appId: app.id,
      type: step.type,
      slot: step.slot,
      releaseId: release.id,
      releaseVersion: release.version,
      limits: formation.limits,
      nodeId: step.nodeId ?? null,
    })
    if (step.nodeId !== undefined) this.logger.info('instance-placed', { instance: id, node: step.nodeId })
  }

  async #succeed(manager: EntityManager, app: WorldApp, deployment: WorldDeployment): Promise<void> {
    const routes = await bumpRevision(manager, 'routes')
    await manager.query('UPDATE app SET current_release = $2 WHERE id = $1', [app.id, deployment.releaseVersion])
    await moveDeployment(manager, deployment.id, 'succeed', { routedRevision: routes })
    const [row] = await manager.query<{ formation: Record<string, number> | null }[]>(
      'SELECT formation FROM deployment WHERE id = $1',
      [deployment.id],
    )
    await this.formation.set(manager, app.id, row?.formation ?? {})
    await this.#event(manager, app, 'deployed', `v${deployment.releaseVersion} serves`)
  }

  async #cancelDestroyed(deployment: WorldDeployment): Promise<boolean> {
    return this.dataSource.transaction((manager) =>
      moveDeployment(manager, deployment.id, 'cancel', { reason: 'destroyed', message: 'the app was destroyed' }),
    )
  }

  async #event(manager: EntityManager, app: WorldApp, kind: string, message: string): Promise<void> {
    await this.events.append({ teamId: app.teamId, appId: app.id, kind, message, actor: 'deployer' }, manager)
  }
}

type DeploymentEvent = Parameters<typeof deploymentMachine.next>[1]

/** Moves a deployment by an event, when the event is allowed in the state it is in; whether it was. */
export async function moveDeployment(
  manager: EntityManager,
  id: DeploymentId,
  event: DeploymentEvent,
  fields: { reason?: string; message?: string; routedRevision?: number } = {},
): Promise<boolean> {
  const from = deploymentMachine.from(event)
  const [first] = from
  if (first === undefined) return false
  const to = deploymentMachine.next(first, event)
  const [rows] = await manager.query<[{ app_id: string }[], number]>(
    `UPDATE deployment SET state = $3, reason = coalesce($4, reason), message = coalesce($5, message),
       routed_revision = coalesce($6, routed_revision), updated_at = clock_timestamp(),
       ended_at = CASE WHEN $7 THEN clock_timestamp() END
     WHERE id = $1 AND state = ANY($2) RETURNING app_id`,
    [
      id,
      from,
      to,
      fields.reason ?? null,
      fields.message ?? null,
      fields.routedRevision ?? null,
      deploymentMachine.isFinal(to),
    ],
  )
  const [row] = rows
  if (row === undefined) return false
  await notify(manager, `deployment ${id}`, `app ${row.app_id}`)
  return true
}
