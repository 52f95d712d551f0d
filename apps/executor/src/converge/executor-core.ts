import { ContainerNotFoundError, type Container } from '@croft/garden-api'
import { assertNever, messageOf, type Clock, type Logger } from '@croft/kit'
import type { DesiredInstance, InstanceStatus } from '@croft/protocol'
import type { Addresses } from '../instance/addresses.js'
import { BuildInstance } from '../instance/build-instance.js'
import type { InstanceRecords } from '../instance/instance-record.js'
import { INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY, type InstancePorts, type NodeInstance } from '../instance/ports.js'
import { ServiceInstance } from '../instance/service-instance.js'
import type { SpareContainer } from '../spare/spare-container.js'
import type { KeptFreshness } from './kept-freshness.js'
import { plan, type PlanInput, type Step } from './plan.js'
import { SerialQueues } from './serial-queues.js'

/** How often the last set is planned again: a step that failed is then tried again. */
const REPLAN_EVERY_MS = 2_000

export interface CoreOptions {
  ports: InstancePorts
  records: InstanceRecords
  addresses: Addresses
  freshness: KeptFreshness
  /** Containers made in advance. */
  spares: readonly Pick<SpareContainer<never>, 'ids' | 'makeRoom'>[]
  clock: Clock
  logger: Logger
  timeScale: number
}

/** Keeps the placed instances running: the last complete desired set, planned against what is here. */
export class ExecutorCore {
  readonly #options: CoreOptions
  readonly #instances = new Map<string, NodeInstance>()
  /** Instances whose stop is under way. One that failed is not among them: it is planned again. */
  readonly #stopping = new Set<string>()
  readonly #queues = new SerialQueues()
  readonly #underWay = new Set<Promise<void>>()
  #isDetached = false
  #desired: readonly DesiredInstance[] | undefined

  constructor(options: CoreOptions) {
    this.#options = options
  }

  /**
   * Takes up what was here before, also without a controller: call it once, after the backend has recovered. When it resolves,
   * what `statuses` says is true.
   */
  async resume(): Promise<void> {
    const { records, ports, logger } = this.#options
    for (const record of await records.readAll()) {
      const instance =
        record.item.spec.kind === 'build' ? BuildInstance.resume(record, ports) : ServiceInstance.resume(record, ports)
      this.#instances.set(record.item.id, instance)
    }
    await Promise.all([...this.#instances.values()].map(async (instance) => await instance.settled()))
    logger.info('instances-resumed', { count: this.#instances.size })
    for (const { item } of this.#instances.values()) {
      // its stop was decided by a complete set and has begun
      if (item.intent === 'stop') this.#carryOut({ kind: 'stop', id: item.id, why: 'asked' })
    }
  }

  /** Applies a complete set. Steps that take long go on after it has returned. */
  async apply(set: { epoch: string; revision: number; items: readonly DesiredInstance[] }): Promise<void> {
    this.#options.freshness.observe(set)
    this.#desired = set.items
    await this.#pass()
  }

  /** Plans again from time to time until `signal` aborts. */
  async keepPlanning(signal: AbortSignal): Promise<void> {
    const { clock, logger, timeScale } = this.#options
    while (!signal.aborted) {
      await clock.sleep(REPLAN_EVERY_MS / timeScale, signal).catch(() => undefined)
      if (!signal.aborted) await this.#pass().catch((error: unknown) => logger.error('converge-failed', { error }))
    }
  }

  statuses(): InstanceStatus[] {
    return [...this.#instances.values()].map((instance) => instance.status())
  }
  instances(): NodeInstance[] {
    return [...this.#instances.values()]
  }
  items(): DesiredInstance[] {
    return this.instances().map(({ item }) => item)
  }
  /** Whether an instance is on its way, or a build runs. */
  isBusy(): boolean {
    return this.statuses().some(({ observed }) => observed === 'creating' || observed === 'starting')
  }

  /** Takes over what the instances of an app have said so far. */
  async flushLogs(appId: string): Promise<void> {
    const own = [...this.#instances.values()].filter(({ item }) => item.appId === appId)
    await Promise.all(own.map(async (instance) => await instance.flushLogs()))
  }

  /** Lets go of everything; containers run on, also those that are being ended. */
  async detach(): Promise<void> {
    this.#isDetached = true
    await Promise.all([...this.#instances.values()].map(async (instance) => await instance.detach()))
    await Promise.all(this.#underWay)
    await this.#options.freshness.idle()
  }

  /** One pass at a time: two would both find the same instance missing. */
  async #pass(): Promise<void> {
    await this.#queues.run('pass', async () => {
      if (this.#desired === undefined || this.#isDetached) return
      const containers = await this.#ownContainers()
      const { spares } = this.#options
      const steps = plan({
        desired: this.#desired,
        known: [...this.#instances.values()].map(({ item }) => ({
          id: item.id,
          intent: item.intent,
          isStopping: this.#stopping.has(item.id),
        })),
        containers,
        addressed: this.#options.addresses.holders(),
        spare: spares.flatMap(({ ids }) => ids),
        mayDestroy: this.#options.freshness.mayDestroy(),
      })
      const containersSoon = containers.length + steps.filter(({ kind }) => kind === 'start').length
      for (const spare of spares) spare.makeRoom(containersSoon)
      for (const step of steps) this.#carryOut(step)
    })
  }

  async #ownContainers(): Promise<PlanInput['containers']> {
    const containers = await this.#options.ports.backend.containers({ [OWNER_PROPERTY]: OWNER })
    const own = containers.map(async (container) => {
      const instanceId = await ownerOf(container)
      return instanceId === undefined ? [] : [{ handle: container.handle, instanceId }]
    })
    return (await Promise.all(own)).flat()
  }

  /** Starts a step; one that fails is logged, and planned again by a later pass. */
  #carryOut(step: Step): void {
    const done = this.#take(step)
      .catch((error: unknown) => {
        if (this.#isDetached) return // goes on with the next executor
        this.#options.logger.error('step-failed', { step: step.kind, why: messageOf(error), error })
      })
      .finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  async #take(step: Step): Promise<void> {
    const { ports, addresses, logger } = this.#options
    switch (step.kind) {
      case 'start': {
        const { item } = step
        const instance =
          item.spec.kind === 'build' ? BuildInstance.start(item, ports) : ServiceInstance.start(item, ports)
        this.#instances.set(item.id, instance)
        logger.info('instance-started', {
          instance: item.id,
          app: item.appName,
          type: item.type,
          slot: item.slot,
        })
        return
      }
      case 'update':
        return await this.#instances.get(step.item.id)?.update(step.item)
      case 'stop':
        return await this.#stop(step)
      case 'free-address':
        return await addresses.free(step.id)
      case 'destroy-container':
        return await this.#queues.run(step.handle, async () => {
          const container = await ports.backend.lookup(step.handle).catch(ignoreMissing)
          // one that was made in advance may have become an instance's since it was looked at
          if (container === null || (await ownerOf(container)) !== step.instanceId) return
          logger.info('container-destroyed', { handle: step.handle, why: step.why })
          await ports.backend.destroy(step.handle, { ifExists: true })
        })
      default:
        return assertNever(step)
    }
  }

  async #stop(step: Extract<Step, { kind: 'stop' }>): Promise<void> {
    const { ports, logger } = this.#options
    const instance = this.#instances.get(step.id)
    if (instance === undefined || this.#stopping.has(step.id)) return
    this.#stopping.add(step.id)
    logger.info('instance-stopping', { instance: step.id, why: step.why })
    try {
      await instance.stop()
      this.#instances.delete(step.id)
      ports.onChange()
    } finally {
      this.#stopping.delete(step.id)
    }
  }
}

/** The instance a container says it is of, null when it says none; undefined: it has gone meanwhile. */
async function ownerOf(container: Container): Promise<string | null | undefined> {
  const properties = await container.properties().catch(() => null)
  return properties === null ? undefined : (properties[INSTANCE_PROPERTY] ?? null)
}

function ignoreMissing(error: unknown): null {
  if (error instanceof ContainerNotFoundError) return null
  throw error
}
