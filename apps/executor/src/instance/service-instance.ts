import { messageOf } from '@croft/kit'
import {
  ContainerNotFoundError,
  ExecutableNotFoundError,
  ImageError,
  ProcessNotFoundError,
  type Container,
  type Process,
  type ProcessExit,
} from '@croft/garden-api'
import type { DesiredInstance, InstanceReason, InstanceStatus, ServiceSpec } from '@croft/protocol'
import type { InstanceRecord } from './instance-record.js'
import { lifecycleMachine, type LifecycleState } from './lifecycle.machine.js'
import { diagnosePort } from './listeners.js'
import { LogDrain } from './log-drain.js'
import { INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY, type InstancePorts, type NodeInstance } from './ports.js'
import { decideRestart, NO_CRASHES } from './restart-policy.js'

/** How often a starting instance is asked, so that its first readiness is noticed at once. */
const STARTING_EVERY_MS = 25
/** A process that has not come up after this long is asked less often. */
const SLOW_START_MS = 10_000
const SLOW_STARTING_EVERY_MS = 250
/** Failed checks in a row that make a ready instance unready. */
const FAILURES_TO_UNREADY = 2
/** The one process of a service container. */
const PROCESS_ID = 'main'
const KILL = 9
const TERM = 15

type Ended = { reason: InstanceReason | null; message: string | null; exit: ProcessExit | null }

/**
 * One service instance: a container with one process, made again whenever it ends, until it is stopped. The address stays the
 * same through all of it. Every change is on disk before it is reported.
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

  private constructor(record: InstanceRecord, ports: InstancePorts) {
    this.#record = record
    this.#ports = ports
  }

  /** A new instance; starts at once. */
  static start(item: DesiredInstance, ports: InstancePorts): ServiceInstance {
    const status: InstanceStatus = {
      id: item.id,
      observed: 'creating',
      address: null,
      handle: null,
      restarts: 0,
      startedAt: null,
      nextStartAt: null,
      exit: null,
      reason: null,
      message: null,
      crashesBeforeReady: 0,
      lastLines: [],
      cpuMillis: 0,
      memoryBytes: 0,
      build: null,
    }
    const instance = new ServiceInstance(
      { item, n: 0, crashes: NO_CRASHES, wasReady: false, readySinceMs: null, status },
      ports,
    )
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

  async update(item: DesiredInstance): Promise<void> {
    await this.#write({ item })
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    await this.#running
    await this.#endProcess()
    await this.#destroyContainer()
    await this.#ports.records.remove(this.item.id)
    this.#ports.onChange()
  }

  async detach(): Promise<void> {
    this.#detach.abort(new Error('detached'))
    await this.#running
  }

  get #spec(): ServiceSpec {
    if (this.item.spec.kind !== 'service') throw new TypeError(`${this.item.id} is no service instance`)
    return this.item.spec
  }
  get #signal(): AbortSignal {
    return AbortSignal.any([this.#stop.signal, this.#detach.signal])
  }
  get #name(): string {
    return `${this.item.type}.${this.item.slot}`
  }

  /** Its whole life: run, see it end, decide, again. Never rejects. */
  async #live(isResumed: boolean): Promise<void> {
    const signal = this.#signal
    let isAdopting = isResumed
    while (!signal.aborted) {
      try {
        const isAdopted = isAdopting && (await this.#adopt())
        isAdopting = false
        const ended = isAdopted ? await this.#watch(signal) : await this.#runOnce(signal)
        if (signal.aborted || ended === undefined) return
        await this.#afterEnd(ended, signal)
      } catch (error) {
        if (signal.aborted) return
        isAdopting = false
        this.#ports.logger.error('instance-failed', { instance: this.item.id, error })
        await this.#afterEnd({ reason: 'create-failed', message: messageOf(error), exit: null }, signal).catch(
          () => undefined,
        )
      }
    }
  }

  /** Takes up the container of before. False when there is none to take up. */
  async #adopt(): Promise<boolean> {
    const { observed } = this.#record.status
    if (observed === 'creating' || observed === 'backoff' || observed === 'exited') {
      await this.#forgetContainer()
      if (observed !== 'creating') await this.#to('creating', {}, true)
      return false
    }
    const handle = `${this.item.id}-${this.#record.n}`
    try {
      this.#container = await this.#ports.backend.lookup(handle)
      this.#process = await this.#container.attach(PROCESS_ID)
      await this.#startDrain(true)
      return true
    } catch (error) {
      if (!(error instanceof ContainerNotFoundError) && !(error instanceof ProcessNotFoundError)) throw error
      await this.#forgetContainer()
      await this.#to('creating', {}, true)
      return false
    }
  }

  /** Makes the container, starts the process and watches it to its end. */
  async #runOnce(signal: AbortSignal): Promise<Ended | undefined> {
    const failed = await this.#create(signal)
    if (failed !== undefined) return failed
    if (signal.aborted) return undefined
    return await this.#watch(signal)
  }

  async #create(signal: AbortSignal): Promise<Ended | undefined> {
    const { backend, ensureImage, addressOf, turnAtCreating, clock } = this.#ports
    const { appId, appName, id } = this.item
    const spec = this.#spec
    try {
      await ensureImage(appId, spec.image, signal)
      const ip = await addressOf(id)
      await this.#write({ n: this.#record.n + 1 })
      const handle = `${id}-${this.#record.n}`
      const env = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`)
      this.#container = await turnAtCreating(() =>
        backend.create(
          {
            handle,
            image: { uri: `croft:${spec.image}` },
            network: ip,
            hostname: `${appName}-${this.item.type}-${this.item.slot}`,
            env,
            properties: { [OWNER_PROPERTY]: OWNER, [INSTANCE_PROPERTY]: id },
            limits: {
              memory: { limitBytes: spec.limits.memoryBytes },
              cpu: {
                limitInShares: spec.limits.cpuShares,
                ...(spec.limits.cpuQuotaMillis !== null && { quotaMillis: spec.limits.cpuQuotaMillis }),
              },
              pids: { max: spec.limits.pids },
              disk: { byteHard: spec.limits.diskBytes, scope: 'exclusive' },
            },
          },
          signal,
        ),
      )
      const [path = '', ...args] = spec.command
      this.#process = await this.#container.run({ id: PROCESS_ID, path, args, user: 'croft', dir: '/workspace' })
      await this.#startDrain(false)
      await this.#to('starting', {
        handle,
        address: spec.port === null ? null : `${ip}:${spec.port}`,
        startedAt: new Date(clock.now()).toISOString(),
        nextStartAt: null,
      })
      return undefined
    } catch (error) {
      if (signal.aborted) return undefined
      const reason =
        error instanceof ImageError
          ? 'image'
          : error instanceof ExecutableNotFoundError
            ? 'command-not-found'
            : 'create-failed'
      this.#ports.logger.warn('instance-not-created', { instance: id, reason, why: messageOf(error) })
      return { reason, message: messageOf(error), exit: null }
    }
  }

  /** Watches the process: checks, readiness, boot time-out, end. Undefined when asked to let go. */
  async #watch(signal: AbortSignal): Promise<Ended | undefined> {
    const process = this.#process
    if (process === undefined) throw new TypeError('there is no process to watch')
    const watching = new AbortController()
    const both = AbortSignal.any([signal, watching.signal])
    let bootFailure: Ended | undefined
    const checking = this.#check(both, async (failure) => {
      bootFailure = failure
      await process.signal(KILL).catch(() => undefined)
    })
    let exit: ProcessExit
    try {
      exit = await process.wait(signal)
    } catch (error) {
      if (signal.aborted) return undefined
      return { reason: 'crashed', message: messageOf(error), exit: null }
    } finally {
      watching.abort()
      await checking
    }
    await this.#drain?.finish()
    if (bootFailure !== undefined) return { ...bootFailure, exit }
    if (exit.isOutOfMemory) {
      return {
        reason: 'out-of-memory',
        message: `it needed more than its ${this.#spec.limits.memoryBytes / 2 ** 20} MiB of memory`,
        exit,
      }
    }
    return {
      reason: 'crashed',
      message:
        exit.signal === null ? `it ended with exit code ${exit.exitCode}` : `it was killed by signal ${exit.signal}`,
      exit,
    }
  }

  /** Looks at the instance until told to stop; calls `onBootFailure` once when it does not come up in time. */
  async #check(signal: AbortSignal, onBootFailure: (failure: Ended) => Promise<void>): Promise<void> {
    const { clock } = this.#ports
    const { health, port, bootTimeoutMs } = this.#spec
    const ip = await this.#ports.addressOf(this.item.id)
    const began = clock.monotonic()
    let failures = 0
    while (!signal.aborted) {
      const state = this.#record.status.observed
      const isUp = state === 'ready' || state === 'unready'
      const hasWaited = clock.monotonic() - began
      const isDue = health.kind !== 'uptime' || hasWaited >= health.uptimeMs
      const result = isDue
        ? await this.#ports.check(health, { ip, port }, this.item.appName)
        : ({ isPassed: false, why: 'it has just started' } as const)
      if (signal.aborted) return
      failures = result.isPassed ? 0 : failures + 1
      if (result.isPassed && state !== 'ready') await this.#becomeReady()
      else if (!result.isPassed && state === 'ready' && failures >= FAILURES_TO_UNREADY) {
        await this.#to('unready', { reason: 'check-failed', message: result.why })
      } else if (!result.isPassed && !isUp && hasWaited >= bootTimeoutMs) {
        return await onBootFailure(await this.#diagnose(result.why))
      }
      const everyMs =
        isUp || result.isPassed
          ? this.#checkEveryMs()
          : hasWaited > SLOW_START_MS
            ? SLOW_STARTING_EVERY_MS
            : STARTING_EVERY_MS
      await clock.sleep(everyMs, signal).catch(() => undefined)
    }
  }

  #checkEveryMs(): number {
    const { health } = this.#spec
    return health.kind === 'uptime' ? 60_000 : health.intervalMs
  }

  async #becomeReady(): Promise<void> {
    await this.#write({ wasReady: true, readySinceMs: this.#ports.clock.now() })
    await this.#to('ready', { reason: null, message: null, lastLines: [] })
  }

  /** Why it did not come up in time, in words for the person who pushed. */
  async #diagnose(why: string): Promise<Ended> {
    const { port, health, bootTimeoutMs } = this.#spec
    const seconds = Math.round(bootTimeoutMs / 100) / 10
    const pid = (await this.#container?.processes().catch(() => []))?.find(({ id }) => id === PROCESS_ID)?.pid ?? null
    const listeners = pid === null ? [] : await this.#ports.listenersOf(pid).catch(() => [])
    const isListening = port !== null && listeners.some((listener) => listener.port === port && !listener.isLoopback)
    if (port === null || (health.kind === 'http' && isListening)) {
      return { reason: 'boot-timeout', message: `it was not ready within ${seconds} s: ${why}`, exit: null }
    }
    const { reason, message } = diagnosePort(port, listeners)
    return {
      reason: reason === 'port-closed' ? 'boot-timeout' : reason,
      message: `it was not ready within ${seconds} s: ${message}`,
      exit: null,
    }
  }

  /** Counts the end, clears the container away, and waits as the policy says. */
  async #afterEnd(ended: Ended, signal: AbortSignal): Promise<void> {
    const { clock, random, timeScale, logger } = this.#ports
    const { readySinceMs, wasReady, crashes, status } = this.#record
    const atMs = clock.now()
    const decision = decideRestart(
      crashes,
      { atMs, readyForMs: readySinceMs === null ? 0 : atMs - readySinceMs },
      random(),
    )
    const delayMs = decision.delayMs / timeScale
    await this.#write({ crashes: decision.history, readySinceMs: null })
    await this.#to('exited', {
      restarts: status.restarts + 1,
      reason: ended.reason,
      message: ended.message,
      lastLines: this.#drain?.lastLines ?? [],
      crashesBeforeReady: wasReady ? 0 : status.crashesBeforeReady + 1,
      exit:
        ended.exit === null
          ? null
          : {
              code: ended.exit.exitCode,
              signal: ended.exit.signal,
              isOutOfMemory: ended.exit.isOutOfMemory,
              at: new Date(ended.exit.exitedAtMs).toISOString(),
            },
    })
    logger.info('instance-ended', {
      instance: this.item.id,
      app: this.item.appName,
      name: this.#name,
      reason: ended.reason,
      why: ended.message,
      delayMs,
    })
    await this.#say(`${this.#name} ${ended.message ?? 'ended'}`)
    await this.#destroyContainer()
    if (delayMs > 0) {
      await this.#to('backoff', { nextStartAt: new Date(clock.now() + delayMs).toISOString() })
      await clock.sleep(delayMs, signal).catch(() => undefined)
      if (signal.aborted) return
    }
    await this.#to('creating', { nextStartAt: null })
  }

  async #endProcess(): Promise<void> {
    const process = this.#process
    if (process === undefined) return
    try {
      await process.signal(TERM)
      await process.wait(AbortSignal.timeout(Math.max(1, this.#spec.graceMs)))
    } catch {
      await process.signal(KILL).catch(() => undefined) // it has ended, or its grace time has
    }
    await this.#drain?.finish()
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

  async #destroyContainer(): Promise<void> {
    await this.#drain?.finish()
    this.#drain = undefined
    this.#process = undefined
    const handle = this.#container?.handle
    this.#container = undefined
    if (handle !== undefined) await this.#ports.backend.destroy(handle, { ifExists: true })
  }

  /** Destroys whatever container bears our present handle. */
  async #forgetContainer(): Promise<void> {
    this.#container = undefined
    this.#process = undefined
    await this.#ports.backend.destroy(`${this.item.id}-${this.#record.n}`, { ifExists: true })
  }

  /** A line of ours among the app's own. */
  async #say(line: string): Promise<void> {
    const at = new Date(this.#ports.clock.now()).toISOString()
    await this.#ports.logs.append(this.item.appId, [
      { at, instance: this.#name, stream: 'system', line, handle: this.handle ?? '' },
    ])
  }

  async #to(state: LifecycleState, changes: Partial<InstanceStatus>, isResumed = false): Promise<void> {
    const from = this.#record.status.observed
    if (!isResumed && from !== state) {
      const event = EVENT_TO[state].find((candidate) => lifecycleMachine.can(from, candidate))
      if (event === undefined) throw new TypeError(`an instance does not go from ${from} to ${state}`)
    }
    await this.#write({ status: { ...this.#record.status, ...changes, observed: state } })
    this.#ports.logger.debug('instance-state', { instance: this.item.id, from, to: state })
    this.#ports.onChange()
  }

  async #write(changes: Partial<InstanceRecord>): Promise<void> {
    this.#record = { ...this.#record, ...changes }
    if (!this.isStopping) await this.#ports.records.write(this.#record)
  }

  /** Sets the figures of the last measurement; not a change worth a report. */
  measure(cpuMillis: number, memoryBytes: number): void {
    this.#record = { ...this.#record, status: { ...this.#record.status, cpuMillis, memoryBytes } }
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
