import { backoffMs, messageOf, type Clock, type Logger } from '@croft/kit'
import type { Route, RouterStatus } from '@croft/protocol'
import type { RouterConfig } from './config.js'
import { DrainingInstances } from './drain.js'
import { assign } from './haproxy/assign.js'
import { platformHosts, platformRoutes } from './haproxy/render.js'
import { Haproxy, isAway } from './haproxy/supervisor.js'
import { readSnapshotFile, writeSnapshotFile, type Draining, type KeptTable } from './snapshot-file.js'
import { poolsOf } from './table.js'
import { reportStatus, watchTable, type ControlLink, type TableSnapshot } from './watch-table.js'

/** What the router takes from outside. */
export interface RouterPorts {
  clock: Clock
  random: () => number
  logger: Logger
}

/** HAProxy is compared with the table this often, also when nothing changed, ms. */
const LEVEL_INTERVAL_MS = 3_000
/** Pause between two looks at what drains, ms; the second look comes sooner. */
const DRAIN_POLL_MS = 100
/** The controller hears at least this often, ms. */
const REPORT_INTERVAL_MS = 5_000
const START_RETRY = { baseMs: 25, maxMs: 200, jitter: 0.2 }

/**
 * The router's control plane: keeps HAProxy serving the newest table it has seen, from disk while the controller is away, and tells
 * the controller which revision is applied and which instances that left it still carry requests. It carries no request itself, and
 * HAProxy outlives it.
 */
export class Router {
  readonly #config: RouterConfig
  readonly #ports: RouterPorts
  readonly #haproxy: Haproxy
  readonly #link: ControlLink
  readonly #file: string
  readonly #stop = new AbortController()
  #table: Omit<KeptTable, 'draining'> | null = null
  /** Of the table that HAProxy serves. */
  #applied: { epoch: string | null; revision: number } = { epoch: null, revision: 0 }
  #draining = new DrainingInstances()
  #reported: string | null = null
  #queue: Promise<unknown> = Promise.resolve()
  #loops: Promise<void>[] = []
  #wakeDrain: () => void = () => undefined

  constructor(config: RouterConfig, ports: RouterPorts) {
    this.#config = config
    this.#ports = ports
    this.#haproxy = new Haproxy({ config, clock: ports.clock, logger: ports.logger })
    this.#link = { socketPath: `${config.run}/control/control.sock`, routerId: config.routerId }
    this.#file = `${config.stateFolder}/table.json`
  }

  /** Resolves when HAProxy serves the last known table; from then on it follows the controller. */
  async start(): Promise<void> {
    const kept = await readSnapshotFile(this.#file, this.#ports.logger)
    if (kept !== null) {
      this.#table = { epoch: kept.epoch, revision: kept.revision, items: kept.items }
      this.#draining = new DrainingInstances(kept.draining)
    }
    await this.#firstConvergence()
    this.#ports.logger.info('router-ready', { revision: this.#applied.revision, kept: kept !== null })
    const { signal } = this.#stop
    this.#loops = [
      watchTable({
        link: this.#link,
        initial: kept ?? undefined,
        apply: (snapshot) => this.#apply(snapshot),
        clock: this.#ports.clock,
        random: this.#ports.random,
        logger: this.#ports.logger,
        signal,
      }),
      this.#every(LEVEL_INTERVAL_MS, 'convergence-failed', () => this.#serially(() => this.#converge())),
      this.#every(REPORT_INTERVAL_MS, 'report-failed', () => this.#report()),
      this.#drainLoop(),
    ]
  }

  /** Ends the control plane; HAProxy goes on serving. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the router stops'))
    this.#wakeDrain()
    await Promise.allSettled([...this.#loops, this.#queue])
  }

  /** Serves a newer table; resolves when HAProxy does and the controller knows what still drains: then it is acknowledged. */
  async #apply(snapshot: TableSnapshot): Promise<void> {
    const { refused } = poolsOf(snapshot.items, platformHosts(this.#config.domain))
    for (const { route, why } of refused) this.#ports.logger.error('route-refused', { route, why })
    await this.#serially(async () => {
      const before = endpointsOf(this.#table?.items ?? [])
      const after = new Set(endpointsOf(snapshot.items).map((endpoint) => endpoint.address))
      this.#draining.replaceTable(before, after)
      this.#table = { epoch: snapshot.epoch, revision: snapshot.revision, items: snapshot.items }
      await this.#converge()
      if (this.#draining.size > 0) this.#draining.look(await this.#haproxy.sessions())
      await this.#keep()
    })
    this.#ports.logger.info('table-applied', { revision: snapshot.revision, routes: snapshot.items.length })
    this.#wakeDrain()
    await this.#report()
  }

  /** One level-triggered pass: what HAProxy serves is made what the table says. */
  async #converge(): Promise<void> {
    const table = this.#table
    const { pools } = poolsOf(table?.items ?? [], platformHosts(this.#config.domain))
    const isBusy = (address: string): boolean => this.#draining.has(address)
    const fixed = platformRoutes(this.#config.domain)
    try {
      const observed = await this.#haproxy.observe()
      await this.#haproxy.converge(observed, assign(pools, observed.state, isBusy, fixed))
    } catch (error) {
      if (isAway(error)) await this.#haproxy.prepare(assign(pools, null, isBusy, fixed))
      throw error
    }
    if (table !== null) this.#applied = { epoch: table.epoch, revision: table.revision }
  }

  async #firstConvergence(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#serially(() => this.#converge())
      } catch (error) {
        if (this.#stop.signal.aborted) throw error
        if (attempt % 20 === 0) this.#ports.logger.info('waiting-for-haproxy', { why: messageOf(error) })
        await this.#ports.clock.sleep(backoffMs(attempt, START_RETRY, this.#ports.random()), this.#stop.signal)
      }
    }
  }

  /** Looks often while something drains, and not at all otherwise. */
  async #drainLoop(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      if (this.#draining.size === 0) {
        await new Promise<void>((resolve) => (this.#wakeDrain = resolve))
        continue
      }
      try {
        await this.#ports.clock.sleep(DRAIN_POLL_MS, signal)
        const isChanged = await this.#serially(async () => {
          const changed = this.#draining.look(await this.#haproxy.sessions())
          if (changed) await this.#keep()
          return changed
        })
        if (isChanged) await this.#report()
      } catch (error) {
        if (!signal.aborted) this.#ports.logger.warn('drain-look-failed', { why: messageOf(error) })
      }
    }
  }

  async #report(): Promise<void> {
    const report: RouterStatus = {
      epoch: this.#applied.epoch,
      appliedRevision: this.#applied.revision,
      busyInstances: [...new Set(this.#draining.list().map((entry) => entry.instanceId))],
    }
    await reportStatus(this.#link, report, this.#stop.signal)
    const text = JSON.stringify(report)
    if (text !== this.#reported) this.#ports.logger.debug('status-reported', { ...report })
    this.#reported = text
  }

  /** Keeps the table on disk; a full disk must not stop routing, but somebody has to know. */
  async #keep(): Promise<void> {
    if (this.#table === null) return
    try {
      await writeSnapshotFile(this.#file, { ...this.#table, draining: this.#draining.list() })
    } catch (error) {
      this.#ports.logger.error('table-not-kept', { path: this.#file, why: messageOf(error) })
    }
  }

  async #every(intervalMs: number, event: string, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.#ports.clock.sleep(intervalMs, signal).catch(() => undefined)
      if (signal.aborted) return
      await work().catch((error: unknown) => {
        if (!signal.aborted) this.#ports.logger.warn(event, { why: messageOf(error) })
      })
    }
  }

  /** One change of HAProxy and of the state at a time. */
  #serially<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work)
    this.#queue = turn.catch(() => undefined)
    return turn
  }
}

function endpointsOf(routes: readonly Route[]): Draining[] {
  return routes.flatMap((route) => route.endpoints.map(({ address, instanceId }) => ({ address, instanceId })))
}
