import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common'
import { messageOf, type Clock, type Logger } from '@croft/kit'
import type { DataSource } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { Leadership, NotLeader } from '../db/leader.js'
import { Signals } from '../db/signals.js'
import { Deployer } from '../deploy/deployer.js'
import { NodeLeases } from '../node/node-leases.js'
import { CLOCK, CONFIG, DATA_SOURCE, LOGGER } from '../tokens.js'
import { Reconciler } from './reconciler.js'
import type { LoopClock } from './view.js'
import { loadWorld } from './world.js'

/** Without a notification a pass comes this often. */
const IDLE_MS = 2_000
/** While a deployment is active. */
const BUSY_MS = 1_000
/** After a pass that failed. */
const RETRY_MS = 500
const LEASE_MS = 10_000
/** A pass that changed something is followed by another at once, so many times at most. */
const MAX_FOLLOW_UPS = 20

/**
 * The one loop that changes what is wanted: a timer and notifications lead to a pass, a pass loads the world and lets the deployer,
 * then the reconciler decide. Only the holder of the lease `schedule` runs it.
 */
@Injectable()
export class ControlLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #stop = new AbortController()
  readonly #leadership: Leadership
  #running: Promise<void> = Promise.resolve()
  #complaint = ''

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Signals) private readonly signals: Signals,
    @Inject(Deployer) private readonly deployer: Deployer,
    @Inject(Reconciler) private readonly reconciler: Reconciler,
    @Inject(NodeLeases) private readonly leases: NodeLeases,
  ) {
    this.#leadership = new Leadership(dataSource, {
      name: 'schedule',
      homeId: config.homeId,
      leaseMs: LEASE_MS / config.timeScale,
    })
  }

  onApplicationBootstrap(): void {
    this.#running = this.#run()
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stop.abort(new Error('the controller stops'))
    await this.#running
    await this.#leadership.release().catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const waiter = this.signals.waiter((topic) => !/^(?:revision|build) /.test(topic))
    const loopClock = { controllerStartedAtMs: this.leases.startedAtMs, timeScale: this.config.timeScale }
    try {
      while (!signal.aborted) {
        try {
          const isBusy = await this.#passes(loopClock)
          this.#complaint = ''
          await waiter.wait((isBusy ? BUSY_MS : IDLE_MS) / this.config.timeScale, signal)
        } catch (error) {
          this.#complain(error)
          await this.clock.sleep(RETRY_MS, signal).catch(() => undefined)
        }
      }
    } finally {
      waiter.close()
    }
  }

  /** Says once why passes fail, e.g. while the database is away. */
  #complain(error: unknown): void {
    const why = messageOf(error)
    if (why === this.#complaint) return
    this.#complaint = why
    if (error instanceof NotLeader) this.logger.warn('leadership-lost')
    else this.logger.error('control-pass-failed', { why, error })
  }

  /** Passes until one changes nothing; whether a deployment is active. */
  async #passes(loopClock: LoopClock): Promise<boolean> {
    const term = this.#leadership.term
    if (!(await this.#leadership.ensure())) return false
    if (this.#leadership.term !== term) this.logger.info('leading', { term: this.#leadership.term })
    for (let followUps = 0; ; followUps += 1) {
      const world = await loadWorld(this.dataSource.manager)
      // The deployer's writes make this world old: the reconciler looks at a new one.
      const isChanged =
        (await this.deployer.pass(world, loopClock, this.#leadership)) ||
        (await this.reconciler.pass(world, loopClock, this.#leadership))
      if (!isChanged || this.#stop.signal.aborted) return world.deployments.length > 0
      if (followUps >= MAX_FOLLOW_UPS) return true
    }
  }
}
