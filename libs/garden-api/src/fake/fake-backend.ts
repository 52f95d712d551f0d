import { randomUUID } from 'node:crypto'
import { systemClock, type Clock } from '@croft/kit'
import type { Backend, Container, DestroyOptions, ResultOf } from '../backend.js'
import { AlreadyInUseError, ContainerNotFoundError, InvalidSpecError } from '../errors.js'
import { EventLog, type NewEvent } from '../event-log.js'
import type {
  Capabilities,
  Capacity,
  ContainerEvent,
  ContainerInfo,
  ContainerSpec,
  EventPosition,
  Metrics,
  RecoverReport,
} from '../types.js'
import { containerSpecProblem, refuse } from '../spec-rules.js'
import { FakeContainer } from './fake-container.js'
import { FakeStore } from './fake-store.js'
import { FAKE_PROGRAMS, type FakeProgram } from './programs.js'

/** What a test lets go wrong: the error, after an optional delay, for the next `times` calls that match. */
export interface Fault {
  /** A method of Backend or Container; `*` for any. */
  call: string
  handle?: string
  /** Absent: only the delay. */
  error?: Error
  delayMs?: number
  /** Default 1. */
  times?: number
}

export interface FakeBackendOptions {
  /** The host it stands on; give the same to a second backend to test adoption. */
  store?: FakeStore
  clock?: Clock
  /** Beyond FAKE_PROGRAMS. */
  programs?: Readonly<Record<string, FakeProgram>>
  /** How many events are kept; default as EventLog's. */
  keptEvents?: number
}

/** A backend without a kernel: containers are records, processes are functions. For tests of whoever speaks the container API. */
export class FakeBackend implements Backend {
  readonly store: FakeStore
  readonly #clock: Clock
  readonly #programs: Readonly<Record<string, FakeProgram>>
  readonly #events: EventLog
  readonly #listen = (event: NewEvent): void => this.#events.append(event)
  readonly #faults: (Fault & { left: number })[] = []
  /** Every call that came in, in order, as `create h1`. */
  readonly calls: string[] = []

  constructor(options: FakeBackendOptions = {}) {
    this.store = options.store ?? new FakeStore()
    this.#clock = options.clock ?? systemClock
    this.#programs = { ...FAKE_PROGRAMS, ...options.programs }
    this.#events = new EventLog({
      bootId: randomUUID(),
      now: () => this.#clock.now(),
      ...(options.keptEvents !== undefined && { kept: options.keptEvents }),
    })
    this.store.listeners.add(this.#listen)
  }

  /** Plans a failure or a delay. */
  inject(fault: Fault): void {
    this.#faults.push({ ...fault, left: fault.times ?? 1 })
  }

  async ping(): Promise<void> {
    await this.#enter('ping', '')
  }
  async capabilities(): Promise<Capabilities> {
    await this.#enter('capabilities', '')
    return {
      cgroupVersion: 2,
      hasIdmap: true,
      hasSwapLimit: true,
      diskQuota: 'loop',
      hasPrivileged: false,
      hasNetwork: false,
      hasNetIn: true,
      hasTty: false,
      hasFreezer: true,
      hasBandwidth: false,
      io: 'none',
      hasSidecars: false,
      hasLiveLimits: true,
      hasXattrs: false,
    }
  }
  async capacity(): Promise<Capacity> {
    await this.#enter('capacity', '')
    return {
      memoryBytes: 8 * 1024 ** 3,
      diskBytes: 100 * 1024 ** 3,
      schedulableDiskBytes: 80 * 1024 ** 3,
      maxContainers: 512,
    }
  }
  async recover(): Promise<RecoverReport> {
    await this.#enter('recover', '')
    return { adopted: [...this.store.records.keys()], removed: [] }
  }
  async create(spec: ContainerSpec, signal?: AbortSignal): Promise<Container> {
    const handle = spec.handle ?? randomUUID()
    await this.#enter('create', handle)
    signal?.throwIfAborted()
    this.#refuse(handle, spec)
    const mappedPorts = this.store.map(spec.netIn ?? [])
    const address = this.store.takeAddress(spec.network)
    if (address === null) throw new AlreadyInUseError(`address ${spec.network}`)
    const record = this.store.add({
      handle,
      spec: { ...spec, handle },
      address,
      properties: { ...spec.properties },
      isStopped: false,
      isPaused: false,
      createdAtMs: this.#clock.now(),
      limits: { ...spec.limits },
      mappedPorts,
      netOut: [...(spec.netOut ?? [])],
      graceTimeMs: spec.graceTimeMs ?? 0,
      lease: null,
    })
    this.#events.append({ kind: 'created', handle })
    return this.#container(record)
  }
  async check(spec: ContainerSpec): Promise<void> {
    await this.#enter('check', spec.handle ?? '')
    this.#refuse(spec.handle ?? 'unnamed', spec)
  }
  #refuse(handle: string, spec: ContainerSpec): void {
    refuse(containerSpecProblem({ ...spec, handle }))
    if (spec.isPrivileged === true) throw new InvalidSpecError('privileged container creation is disabled')
    if (this.store.records.has(handle)) throw new AlreadyInUseError(`Handle '${handle}'`)
  }
  async lookup(handle: string): Promise<Container> {
    await this.#enter('lookup', handle)
    const record = this.store.records.get(handle)
    if (record === undefined) throw new ContainerNotFoundError(handle)
    return this.#container(record)
  }
  async containers(properties: Record<string, string> = {}): Promise<Container[]> {
    await this.#enter('containers', '')
    const wanted = Object.entries(properties)
    return [...this.store.records.values()]
      .filter((record) => wanted.every(([key, value]) => record.properties[key] === value))
      .map((record) => this.#container(record))
  }
  async destroy(handle: string, options: DestroyOptions = {}): Promise<void> {
    await this.#enter('destroy', handle)
    if (!this.store.records.has(handle)) {
      if (options.ifExists === true) return
      throw new ContainerNotFoundError(handle)
    }
    this.store.lose(handle, options.reason ?? 'asked')
  }
  async pause(handles: readonly string[]): Promise<void> {
    await this.#setPaused('pause', handles, true)
  }
  async resume(handles: readonly string[]): Promise<void> {
    await this.#setPaused('resume', handles, false)
  }
  async eventPosition(): Promise<EventPosition> {
    await this.#enter('eventPosition', '')
    return this.#events.position
  }
  events(signal: AbortSignal, after: EventPosition = this.#events.position): AsyncIterable<ContainerEvent> {
    return this.#events.after(after, signal)
  }
  async bulkInfo(handles: readonly string[]): Promise<Map<string, ResultOf<ContainerInfo>>> {
    return await this.#bulk(handles, async (container) => await container.info())
  }
  async bulkMetrics(handles: readonly string[]): Promise<Map<string, ResultOf<Metrics>>> {
    return await this.#bulk(handles, async (container) => await container.metrics())
  }
  async close(): Promise<void> {
    await this.#enter('close', '')
    this.store.listeners.delete(this.#listen)
  }

  async #setPaused(call: string, handles: readonly string[], isPaused: boolean): Promise<void> {
    for (const handle of handles) await this.#enter(call, handle)
    const records = handles.map((handle) => {
      const record = this.store.records.get(handle)
      if (record === undefined) throw new ContainerNotFoundError(handle)
      return record
    })
    for (const record of records) {
      if (record.isPaused !== isPaused)
        this.#events.append({ kind: isPaused ? 'paused' : 'resumed', handle: record.handle })
      record.isPaused = isPaused
    }
  }
  #container(record: Parameters<FakeStore['add']>[0] & { handle: string }): Container {
    const whole = this.store.records.get(record.handle)
    if (whole === undefined) throw new ContainerNotFoundError(record.handle)
    return new FakeContainer(
      whole,
      this.store,
      this.#clock,
      this.#programs,
      async (call, handle) => await this.#enter(call, handle),
    )
  }
  async #enter(call: string, handle: string): Promise<void> {
    this.calls.push(handle === '' ? call : `${call} ${handle}`)
    const fault = this.#faults.find(
      (one) =>
        one.left > 0 && (one.call === call || one.call === '*') && (one.handle === undefined || one.handle === handle),
    )
    if (fault === undefined) return
    fault.left -= 1
    if (fault.delayMs !== undefined) await this.#clock.sleep(fault.delayMs)
    if (fault.error !== undefined) throw fault.error
  }
  async #bulk<T>(
    handles: readonly string[],
    call: (container: Container) => Promise<T>,
  ): Promise<Map<string, ResultOf<T>>> {
    const results = new Map<string, ResultOf<T>>()
    for (const handle of handles) {
      try {
        results.set(handle, { value: await call(await this.lookup(handle)) })
      } catch (error) {
        results.set(handle, { error: error as Error })
      }
    }
    return results
  }
}
