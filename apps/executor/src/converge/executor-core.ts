import { messageOf, type Clock, type Logger } from '@croft/kit'
import type { DesiredInstance, InstanceStatus } from '@croft/protocol'
import { BuildInstance } from '../instance/build-instance.js'
import type { InstanceRecords } from '../instance/instance-record.js'
import { INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY, type InstancePorts, type NodeInstance } from '../instance/ports.js'
import { ServiceInstance } from '../instance/service-instance.js'
import type { Addresses } from '../instance/addresses.js'
import { BREAK_MS, mayDestroy, NEVER_SEEN, observe, type Freshness } from './freshness.js'
import { plan, type Step } from './plan.js'
import { SerialQueues } from './serial-queues.js'

/** How often the last set is planned again: a step that failed is then tried again. */
const REPLAN_EVERY_MS = 2_000

export interface CoreOptions {
  ports: InstancePorts
  records: InstanceRecords
  addresses: Addresses
  clock: Clock
  logger: Logger
  timeScale: number
}

/** Keeps the placed instances running: the last complete desired set, planned against what is here. */
export class ExecutorCore {
  readonly #options: CoreOptions
  readonly #instances = new Map<string, NodeInstance>()
  readonly #queues = new SerialQueues()
  #desired: readonly DesiredInstance[] | undefined
  #freshness: Freshness = NEVER_SEEN

  constructor(options: CoreOptions) {
    this.#options = options
  }

  /** Takes up what was here before: call it once, after the backend has recovered. */
  async resume(): Promise<void> {
    const { records, ports, logger } = this.#options
    for (const record of await records.readAll()) {
      const instance =
        record.item.spec.kind === 'build' ? BuildInstance.resume(record, ports) : ServiceInstance.resume(record, ports)
      this.#instances.set(record.item.id, instance)
    }
    logger.info('instances-resumed', { count: this.#instances.size })
  }

  /** Applies a complete set. Steps that take long go on after it has returned. */
  async apply(set: { epoch: string; revision: number; items: readonly DesiredInstance[] }): Promise<void> {
    const { clock, timeScale } = this.#options
    this.#freshness = observe(this.#freshness, set, clock.monotonic(), BREAK_MS / timeScale)
    this.#desired = set.items
    await this.#pass()
  }

  /** Plans again from time to time until `signal` aborts. */
  async keepPlanning(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options
    while (!signal.aborted) {
      await clock.sleep(REPLAN_EVERY_MS, signal).catch(() => undefined)
      if (!signal.aborted) await this.#pass().catch((error: unknown) => logger.error('converge-failed', { error }))
    }
  }

  statuses(): InstanceStatus[] {
    return [...this.#instances.values()].map((instance) => instance.status())
  }
  instances(): NodeInstance[] {
    return [...this.#instances.values()]
  }

  /** Lets go of everything; containers run on. */
  async detach(): Promise<void> {
    await Promise.all([...this.#instances.values()].map((instance) => instance.detach()))
  }

  async #pass(): Promise<void> {
    if (this.#desired === undefined) return
    const { ports, addresses, clock } = this.#options
    const containers = await ports.backend.containers({ [OWNER_PROPERTY]: OWNER })
    const steps = plan({
      desired: this.#desired,
      known: [...this.#instances.values()].map(({ item, isStopping }) => ({
        id: item.id,
        intent: item.intent,
        isStopping,
      })),
      containers: await Promise.all(
        containers.map(async (container) => ({
          handle: container.handle,
          instanceId:
            (await container.properties().catch((): Record<string, string> => ({})))[INSTANCE_PROPERTY] ?? null,
        })),
      ),
      addressed: addresses.holders(),
      mayDestroy: mayDestroy(this.#freshness, clock.monotonic()),
    })
    for (const step of steps) this.#carryOut(step)
  }

  /** Starts a step; one that fails is logged, and planned again by a later pass. */
  #carryOut(step: Step): void {
    const { logger } = this.#options
    this.#take(step).catch((error: unknown) =>
      logger.error('step-failed', { step: step.kind, why: messageOf(error), error }),
    )
  }

  async #take(step: Step): Promise<void> {
    const { ports, addresses, logger } = this.#options
    switch (step.kind) {
      case 'start': {
        const start = step.item.spec.kind === 'build' ? BuildInstance.start : ServiceInstance.start
        this.#instances.set(step.item.id, start(step.item, ports))
        logger.info('instance-started', {
          instance: step.item.id,
          app: step.item.appName,
          type: step.item.type,
          slot: step.item.slot,
        })
        return
      }
      case 'update':
        await this.#instances.get(step.item.id)?.update(step.item)
        return
      case 'stop': {
        const instance = this.#instances.get(step.id)
        if (instance === undefined) return
        logger.info('instance-stopping', { instance: step.id, why: step.why })
        await instance.stop()
        this.#instances.delete(step.id)
        ports.onChange()
        return
      }
      case 'free-address':
        await addresses.free(step.id)
        return
      case 'destroy-container':
        await this.#queues.run(step.handle, async () => {
          logger.info('container-destroyed', { handle: step.handle, why: step.why })
          await ports.backend.destroy(step.handle, { ifExists: true })
        })
    }
  }
}
