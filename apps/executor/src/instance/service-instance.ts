import { messageOf } from '@croft/kit'
import {
  ContainerNotFoundError,
  ProcessNotFoundError,
  ServiceUnavailableError,
  type Container,
  type Process,
  type ProcessExit,
} from '@croft/garden-api'
import type { DesiredInstance, InstanceStatus, ServiceSpec } from '@croft/protocol'
import { containerSpec } from './container-spec.js'
import { diagnoseBoot } from './diagnose.js'
import { endingBeforeStart, endingOf, exitStatus, type Ending } from './ending.js'
import { newRecord, type InstanceRecord } from './instance-record.js'
import { lifecycleMachine, type LifecycleState } from './lifecycle.machine.js'
import { LogDrain } from './log-drain.js'
import { INSTANCE_PROPERTY, type InstancePorts, type NodeInstance } from './ports.js'
import { decideRestart } from './restart-policy.js'
import { watchHealth, type FailedCheck } from './watch-health.js'

/** The one process of a service container. */
const PROCESS_ID = 'main'
/** Between looks for a backend that is away. */
const REJOIN_EVERY_MS = 500
const APP_USER = 'croft'
const APP_FOLDER = '/workspace'
const KILL = 9
const TERM = 15
/** Between two tries of what should never fail. */
const BROKEN_PAUSE_MS = 1_000
/** No back-off of before is waited for longer than the policy's longest. */
const MAX_RESUMED_WAIT_MS = 6 * 60_000

/**
 * One service instance: a container with one process, made again whenever it ends, until it is stopped. The address stays the
 * same through all of it. Every change is written down before it is reported; a disk that takes no more stops nobody's restart.
 */
export class ServiceInstance implements NodeInstance {
  readonly #ports: InstancePorts
  readonly #stop = new AbortController()
  readonly #detach = new AbortController()
  #record: InstanceRecord
  #container: Container | undefined
  #process: Process | undefined
  #drain: LogDrain | undefined
  #running: Promise<void> = Promise.resolve()
  readonly #settled = Promise.withResolvers<void>()

  private constructor(record: InstanceRecord, ports: InstancePorts) {
    this.#record = record
    this.#ports = ports
  }

  /** A new instance; starts at once. */
  static start(item: DesiredInstance, ports: InstancePorts): ServiceInstance {
    const instance = new ServiceInstance(newRecord(item), ports)
    instance.#running = instance.#live(false)
    return instance
  }

  /** An instance of before: its container is taken up again when it still lives, otherwise made anew. */
  static resume(record: InstanceRecord, ports: InstancePorts): ServiceInstance {
    const instance = new ServiceInstance(record, ports)
    instance.#running = instance.#live(true)
    return instance
  }

  get item(): DesiredInstance {
    return this.#record.item
  }
  get isStopping(): boolean {
    return this.#stop.signal.aborted
  }
  get handle(): string | null {
    return this.#container?.handle ?? null
  }
  status(): InstanceStatus {
    return this.#record.status
  }
  settled(): Promise<void> {
    return this.#settled.promise
  }
  async flushLogs(): Promise<void> {
    await this.#drain?.flush()
  }

  async update(item: DesiredInstance): Promise<void> {
    await this.#write({ item })
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    // an executor that dies in the grace time goes on stopping it
    await this.#write({ item: { ...this.item, intent: 'stop' } }, true)
    await this.#running
    await this.#endProcess()
    this.#detach.signal.throwIfAborted()
    await this.#letGo()
    await this.#destroyContainers()
    await this.#ports.records.remove(this.item.id)
    this.#ports.onChange()
  }

  async detach(): Promise<void> {
    this.#detach.abort(new Error('detached'))
    await this.#running
    await this.#drain?.detach()
  }

  /** Sets the figures of the last measurement; not a change worth a report. */
  measure(cpuMillis: number, memoryBytes: number): void {
    this.#record = { ...this.#record, status: { ...this.#record.status, cpuMillis, memoryBytes } }
  }

  get #spec(): ServiceSpec {
    if (this.item.spec.kind !== 'service') throw new TypeError(`${this.item.id} is no service instance`)
    return this.item.spec
  }
  get #name(): string {
    return `${this.item.type}.${this.item.slot}`
  }

  /** Its whole life: run, see it end, decide, again. Never rejects. */
  async #live(isResumed: boolean): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, this.#detach.signal])
    const { clock, logger } = this.#ports
    let isAdopting = isResumed
    if (!isResumed) await this.#write({})
    while (!signal.aborted) {
      try {
        const isAdopted = isAdopting && (await this.#adopt())
        this.#settled.resolve()
        if (isAdopting && !isAdopted) await this.#waitOutBackoff(signal)
        isAdopting = false
        const ending = isAdopted ? await this.#watch(signal) : await this.#runOnce(signal)
        if (signal.aborted || ending === undefined) return
        await this.#afterEnd(ending, signal)
      } catch (error) {
        this.#settled.resolve()
        isAdopting = false
        if (signal.aborted) return
        logger.error('instance-broke', { instance: this.item.id, error })
        await this.#letGo()
        await clock.sleep(BROKEN_PAUSE_MS, signal).catch(() => undefined)
        if (!signal.aborted)
          await this.#to('creating', { reason: 'create-failed', message: messageOf(error) }, {}, true)
      }
    }
  }

  /** Takes up the container of before. False when there is none to take up: then it is made anew. */
  async #adopt(): Promise<boolean> {
    const { observed } = this.#record.status
    if (observed === 'backoff') return false
    if (observed === 'creating' || observed === 'exited') {
      await this.#to('creating', {}, {}, true)
      return false
    }
    try {
      this.#container = await this.#lookUp()
      this.#process = await this.#container.attach(PROCESS_ID)
      await this.#startDrain(true)
      return true
    } catch (error) {
      if (!(error instanceof ContainerNotFoundError) && !(error instanceof ProcessNotFoundError)) throw error
      await this.#letGo()
      await this.#to('creating', {}, {}, true)
      return false
    }
  }

  /** The container that its process was started in. @throws ContainerNotFoundError */
  #lookUp(): Promise<Container> {
    return this.#ports.backend.lookup(this.#record.status.handle ?? '')
  }

  /** An instance that was in back-off waits for the rest of it. */
  async #waitOutBackoff(signal: AbortSignal): Promise<void> {
    const { observed, nextStartAt } = this.#record.status
    if (observed !== 'backoff') return
    const leftMs = nextStartAt === null ? 0 : Date.parse(nextStartAt) - this.#ports.clock.now()
    if (leftMs > 0) {
      await this.#ports.clock.sleep(Math.min(leftMs, MAX_RESUMED_WAIT_MS), signal).catch(() => undefined)
    }
    if (!signal.aborted) await this.#to('creating', { nextStartAt: null })
  }

  /** Makes the container, starts the process and watches it to its end. Undefined when asked to let go. */
  async #runOnce(signal: AbortSignal): Promise<Ending | undefined> {
    try {
      await this.#create(signal)
    } catch (error) {
      if (signal.aborted) return undefined
      const ending = endingBeforeStart(error)
      this.#ports.logger.warn('instance-not-created', {
        instance: this.item.id,
        reason: ending.reason,
        why: ending.message,
      })
      return ending
    }
    return await this.#watch(signal)
  }

  async #create(signal: AbortSignal): Promise<void> {
    const spec = this.#spec
    const { container, address: ip } =
      (await this.#takeContainer(spec, signal)) ?? (await this.#makeContainer(spec, signal))
    this.#container = container
    const [path = '', ...args] = spec.command
    const { user = APP_USER, dir = APP_FOLDER } = spec
    const env = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`)
    this.#process = await container.run({ id: PROCESS_ID, path, args, env, user, dir })
    await this.#startDrain(false)
    const status: Partial<InstanceStatus> = {
      handle: container.handle,
      address: spec.port === null ? null : `${ip}:${spec.port}`,
      startedAt: new Date(this.#ports.clock.now()).toISOString(),
      nextStartAt: null,
    }
    await this.#to('starting', status)
  }

  /** One made in advance, when this is the instance's first. */
  async #takeContainer(
    spec: ServiceSpec,
    signal: AbortSignal,
  ): Promise<{ container: Container; address: string } | null> {
    if (this.#record.n > 0) return null
    const taken = await this.#ports.takeContainer(this.item, spec, signal)
    if (taken !== null) this.#record = { ...this.#record, n: 1 } // written when its process runs; made anew until then
    return taken
  }

  async #makeContainer(spec: ServiceSpec, signal: AbortSignal): Promise<{ container: Container; address: string }> {
    const { backend, ensureImage, addressOf, turnAtCreating } = this.#ports
    await ensureImage(this.item.appId, spec.image, signal)
    const address = await addressOf(this.item.id)
    await this.#destroyContainers()
    await this.#write({ n: this.#record.n + 1 })
    const container = await turnAtCreating(async () => {
      signal.throwIfAborted()
      const names = { handle: `${this.item.id}-${this.#record.n}`, ip: address }
      return await backend.create(containerSpec(this.item, spec, names), signal)
    })
    return { container, address }
  }

  /** Watches the process: checks, readiness, boot time-out, end. Undefined when asked to let go. */
  async #watch(signal: AbortSignal): Promise<Ending | undefined> {
    const process = this.#process
    if (process === undefined) throw new TypeError('there is no process to watch')
    const watching = new AbortController()
    let lateBoot: Ending | undefined
    const checking = this.#checkHealth(AbortSignal.any([signal, watching.signal]), async (failed) => {
      lateBoot = { ...(await this.#diagnose(failed)), exit: null }
      await this.#process?.signal(KILL).catch(() => undefined) // it has just ended by itself
    })
    checking.catch((error: unknown) => {
      this.#ports.logger.error('health-watch-broke', { instance: this.item.id, error })
    })
    try {
      const exit = await this.#exitOf(process, signal)
      await this.#drain?.finish()
      return lateBoot === undefined ? endingOf(exit, this.#spec) : { ...lateBoot, exit }
    } catch (error) {
      if (signal.aborted) return undefined
      return { reason: 'crashed', message: messageOf(error), exit: null }
    } finally {
      watching.abort()
    }
  }

  /** How the process ended. A backend that is another process may be away meanwhile: that is no end. */
  async #exitOf(process: Process, signal: AbortSignal): Promise<ProcessExit> {
    for (;;) {
      try {
        return await process.wait(signal)
      } catch (error) {
        if (!(error instanceof ServiceUnavailableError) || signal.aborted) throw error
        this.#ports.logger.warn('backend-away', { instance: this.item.id, why: messageOf(error) })
        process = await this.#rejoin(signal)
      }
    }
  }
  async #rejoin(signal: AbortSignal): Promise<Process> {
    for (;;) {
      await this.#ports.clock.sleep(REJOIN_EVERY_MS, signal)
      try {
        const container = await this.#lookUp()
        return (this.#process = await container.attach(PROCESS_ID))
      } catch (error) {
        if (!(error instanceof ServiceUnavailableError)) throw error
      }
    }
  }

  async #checkHealth(signal: AbortSignal, onBootTimeout: (failed: FailedCheck) => Promise<void>): Promise<void> {
    const { clock, check } = this.#ports
    await watchHealth(
      {
        spec: this.#spec,
        ip: this.#record.status.address?.split(':')[0] ?? '',
        appName: this.item.appName,
        clock,
        check,
        state: () => this.#record.status.observed,
        onReady: async () =>
          await this.#to(
            'ready',
            { reason: null, message: null, lastLines: [] },
            { wasReady: true, readySinceMs: clock.now() },
          ),
        onUnready: async ({ reason, why }) => await this.#to('unready', { reason, message: why }),
        onBootTimeout,
      },
      signal,
    )
  }

  /** Why it did not come up in time. */
  async #diagnose(failed: FailedCheck): Promise<Omit<Ending, 'exit'>> {
    const processes = await this.#container?.processes().catch(() => [])
    const pid = processes?.find(({ id }) => id === PROCESS_ID)?.pid ?? null
    const listeners = pid === null ? [] : await this.#ports.listenersOf(pid).catch(() => [])
    return diagnoseBoot(this.#spec, failed, listeners)
  }

  /** Counts the end, clears the container away, and waits as the policy says. */
  async #afterEnd(ending: Ending, signal: AbortSignal): Promise<void> {
    const { clock, random, timeScale, logger } = this.#ports
    const { readySinceMs, wasReady, crashes, status } = this.#record
    await this.#drain?.finish()
    const atMs = clock.now()
    const readyForMs = readySinceMs === null ? 0 : atMs - readySinceMs
    // the policy thinks in unscaled time
    const decision = decideRestart(crashes, { atMs: atMs * timeScale, readyForMs: readyForMs * timeScale }, random())
    const delayMs = Math.round(decision.delayMs / timeScale)
    await this.#to(
      'exited',
      {
        restarts: status.restarts + 1,
        reason: ending.reason,
        message: ending.message,
        lastLines: wasReady ? [] : (this.#drain?.lastLines ?? []),
        crashesBeforeReady: wasReady ? 0 : status.crashesBeforeReady + 1,
        exit: exitStatus(ending.exit),
        cpuMillis: 0,
        memoryBytes: 0,
      },
      { crashes: decision.history, readySinceMs: null },
    )
    logger.info('instance-ended', {
      instance: this.item.id,
      app: this.item.appName,
      name: this.#name,
      reason: ending.reason,
      why: ending.message,
      delayMs,
    })
    await this.#say(
      `${this.#name} ${ending.message}${delayMs > 0 ? `; it starts again in ${Math.round(delayMs / 1_000)} s` : ''}`,
    )
    await this.#letGo()
    await this.#destroyContainers().catch((error: unknown) => {
      // tried again before the next container is made
      logger.warn('container-not-destroyed', { instance: this.item.id, why: messageOf(error) })
    })
    if (delayMs > 0) {
      await this.#to('backoff', { nextStartAt: new Date(clock.now() + delayMs).toISOString() })
      await clock.sleep(delayMs, signal).catch(() => undefined)
      if (signal.aborted) return
    }
    await this.#to('creating', { nextStartAt: null })
  }

  /** SIGTERM, the grace time, SIGKILL. */
  async #endProcess(): Promise<void> {
    const process = this.#process
    if (process === undefined) return
    const over = new AbortController()
    try {
      await process.signal(TERM)
      const letGo = AbortSignal.any([over.signal, this.#detach.signal])
      const graceOver = this.#ports.clock.sleep(this.#spec.graceMs, letGo).then(async () => {
        this.#ports.logger.info('instance-killed', { instance: this.item.id, graceMs: this.#spec.graceMs })
        await process.signal(KILL)
      })
      await Promise.race([process.wait(letGo), graceOver])
    } catch (error) {
      // it has ended, or its container has: what is left of it is destroyed next
      this.#ports.logger.debug('instance-gone-before-its-end', { instance: this.item.id, why: messageOf(error) })
    } finally {
      over.abort()
    }
  }

  async #startDrain(isResumed: boolean): Promise<void> {
    const { logs, clock, logger } = this.#ports
    if (this.#container === undefined) return
    this.#drain = new LogDrain({
      store: logs,
      container: this.#container,
      processId: PROCESS_ID,
      appId: this.item.appId,
      instance: this.#name,
      clock,
      logger,
    })
    await this.#drain.start(isResumed)
  }

  /** Takes over the last output and forgets the container. */
  async #letGo(): Promise<void> {
    await this.#drain?.finish()
    this.#drain = undefined
    this.#process = undefined
    this.#container = undefined
  }

  /** Destroys every container of this instance, whatever left it behind: two would claim one address. */
  async #destroyContainers(): Promise<void> {
    const { backend } = this.#ports
    for (const { handle } of await backend.containers({ [INSTANCE_PROPERTY]: this.item.id })) {
      await backend.destroy(handle, { ifExists: true })
    }
  }

  /** A line of ours among the app's own. */
  async #say(line: string): Promise<void> {
    const at = new Date(this.#ports.clock.now()).toISOString()
    await this.#ports.logs
      .append(this.item.appId, [{ at, instance: this.#name, stream: 'system', line, handle: this.handle ?? '' }])
      .catch((error: unknown) => this.#ports.logger.warn('log-not-written', { why: messageOf(error) }))
  }

  /** Moves on: state, status and record change in one write. `isResumed`: from wherever it was before the executor's start. */
  async #to(
    state: LifecycleState,
    changes: Partial<InstanceStatus>,
    record: Partial<InstanceRecord> = {},
    isResumed = false,
  ): Promise<void> {
    const from = this.#record.status.observed
    if (!isResumed && from !== state) {
      const event = EVENT_TO[state].find((candidate) => lifecycleMachine.can(from, candidate))
      if (event === undefined) throw new TypeError(`an instance does not go from ${from} to ${state}`)
    }
    await this.#write({ ...record, status: { ...this.#record.status, ...changes, observed: state } })
    this.#ports.logger.debug('instance-state', { instance: this.item.id, from, to: state })
    this.#ports.onChange()
  }

  async #write(changes: Partial<InstanceRecord>, isFinal = false): Promise<void> {
    this.#record = { ...this.#record, ...changes }
    if (this.isStopping && !isFinal) return
    try {
      await this.#ports.records.write(this.#record)
    } catch (error) {
      this.#ports.logger.error('record-not-written', { instance: this.item.id, why: messageOf(error) })
    }
  }
}

/** Which events lead to a state. */
const EVENT_TO = {
  creating: ['restart'],
  starting: ['started'],
  ready: ['passed'],
  unready: ['failed'],
  exited: ['ended'],
  backoff: ['wait'],
} as const satisfies Record<LifecycleState, readonly string[]>
