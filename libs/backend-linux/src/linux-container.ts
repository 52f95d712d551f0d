import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { systemClock } from '@croft/kit'
import {
  ContainerNotFoundError,
  GardenError,
  UnrecoverableError,
  type AttachFrom,
  type Container,
  type ContainerInfo,
  type Lease,
  type Limits,
  type LiveLimits,
  type LogChunk,
  type MappedPort,
  type Metrics,
  type NetIn,
  type NetOutRule,
  type Process,
  type ProcessInfo,
  type ProcessIo,
  type ProcessSpec,
} from '@croft/garden-api'
import { changeLimits } from './container/change-limits.js'
import { streamIn, streamOut, type StartTar, type StreamLimits } from './container/files.js'
import { allow, mapPort } from './container/network.js'
import { groupsOf } from './container/peas.js'
import { refusePaused } from './container/paused.js'
import { Processes } from './container/processes.js'
import type { Entry, Host } from './containerizer/host.js'
import { Turnstile } from './containerizer/turnstile.js'
import type { ContainerWatch } from './containerizer/watch.js'
import type { ContainerState } from './depot/journal.js'
import { killQuietly } from './depot/process-identity.js'
import { linkName } from './home/naming.js'
import { DEFAULT_STAGE_DIR, DEFAULT_STREAM_LIMITS } from './options.js'
import { OWN_INODES } from './volumizer/disk.js'
import type { Usage } from './volumizer/usage.js'
import { readLinkCounters } from './networker/counters.js'

const TERM_TIMEOUT_MS = 10_000
const KILL_TIMEOUT_MS = 10_000

/** A container of this host, seen through its shim. */
export class LinuxContainer implements Container {
  readonly #processes: Processes

  constructor(
    private readonly host: Host,
    private readonly entry: Entry,
    watch: ContainerWatch,
    /** Whether it is still listed; every call asks. */
    private readonly isKnown: () => boolean,
  ) {
    this.#processes = new Processes(host, entry, watch, isKnown)
  }

  get handle(): string {
    return this.entry.handle
  }

  async info(): Promise<ContainerInfo> {
    this.#check()
    const { state } = this.entry
    const hasOom = this.host.cgroups.hasKilledForMemory(this.handle)
    return {
      state: state.isStopped ? 'stopped' : 'active',
      events: hasOom ? ['Out of memory'] : [],
      hostIp: this.host.networker.gateway,
      containerIp: state.address,
      externalIp: this.host.networker.gateway,
      containerPath: this.host.depot.folder(this.handle),
      processIds: this.#processes.list().map(({ id }) => id),
      properties: { ...state.properties },
      mappedPorts: (state.ports ?? []).map((port) => ({ ...port })),
    }
  }

  async metrics(): Promise<Metrics> {
    this.#check()
    const cgroup = this.host.cgroups.metrics(this.handle)
    const network = readLinkCounters(linkName(this.host.names, this.entry.state.slot))
    return { ...cgroup, network, disk: await this.#disk(), ageMs: this.host.now() - this.entry.state.createdAtMs }
  }

  async stop(options: { kill?: boolean } = {}): Promise<void> {
    this.#check()
    refusePaused(this.host, this.handle)
    const calm = await this.host.cgroups.hurry(this.handle)
    try {
      await this.#stop(options)
    } finally {
      await calm()
    }
  }

  async #stop(options: { kill?: boolean }): Promise<void> {
    if (options.kill !== true) {
      await this.#signalAll('SIGTERM')
      const patience = systemClock.monotonic() + TERM_TIMEOUT_MS
      while (this.#others().length > 0 && systemClock.monotonic() < patience) await systemClock.sleep(20)
    }
    const end = systemClock.monotonic() + KILL_TIMEOUT_MS
    while (this.#others().length > 0) {
      if (systemClock.monotonic() > end) throw new UnrecoverableError('a process of the container does not die')
      await this.#signalAll('SIGKILL')
      await systemClock.sleep(5)
    }
    if (!this.entry.state.isStopped) this.host.events.append({ kind: 'stopped', handle: this.handle })
    this.entry.state.isStopped = true
    await this.host.depot.write(this.handle, this.entry.state)
  }

  async run(spec: ProcessSpec, io: ProcessIo = {}): Promise<Process> {
    this.#check()
    const process = await this.#processes.run(spec, io)
    if (this.entry.state.isStopped) {
      this.entry.state.isStopped = false
      await this.host.depot.write(this.handle, this.entry.state)
    }
    return process
  }
  async attach(processId: string, io: ProcessIo = {}, from: AttachFrom = { kind: 'now' }): Promise<Process> {
    this.#check()
    return await this.#processes.attach(processId, io, from)
  }
  async processes(): Promise<ProcessInfo[]> {
    this.#check()
    return this.#processes.list()
  }
  async readLog(processId: string, stream: 'stdout' | 'stderr', fromOffset = 0): Promise<LogChunk> {
    this.#check()
    return await this.#processes.readLog(processId, stream, fromOffset)
  }

  async streamIn(options: { user: string; path: string; tar: Readable }): Promise<void> {
    this.#check()
    const startTar: StartTar = async (request, io) => await this.#processes.startTar(request, io)
    await streamIn(startTar, options, this.#streamLimits())
  }
  async streamOut(options: { user: string; path: string }): Promise<Readable> {
    this.#check()
    const startTar: StartTar = async (request, io) => await this.#processes.startTar(request, io)
    return await streamOut(startTar, options, this.#streamLimits())
  }

  async properties(): Promise<Record<string, string>> {
    this.#check()
    return { ...this.entry.state.properties }
  }
  async setProperty(key: string, value: string): Promise<void> {
    this.#check()
    await this.#change(({ properties }) => ({ properties: { ...properties, [key]: value } }))
  }
  async removeProperty(key: string): Promise<void> {
    this.#check()
    if (!(key in this.entry.state.properties)) {
      throw new GardenError({
        code: 'property-not-found',
        status: 404,
        title: `property does not exist: ${key}`,
        handle: this.handle,
      })
    }
    await this.#change(({ properties }) => {
      const { [key]: _removed, ...others } = properties
      return { properties: others }
    })
  }

  async limits(): Promise<Limits> {
    this.#check()
    return { ...this.#limits }
  }
  async changeLimits(limits: LiveLimits): Promise<void> {
    this.#check()
    await this.#alone(async () => await changeLimits(this.host, this.entry, limits))
  }
  async netIn(ports: NetIn): Promise<MappedPort> {
    this.#check()
    return await this.#alone(async () => await mapPort(this.host, this.entry, ports))
  }
  async netOut(rules: readonly NetOutRule[]): Promise<void> {
    this.#check()
    await this.#alone(async () => await allow(this.host, this.entry, rules))
  }
  async graceTimeMs(): Promise<number> {
    this.#check()
    return this.entry.state.graceTimeMs ?? 0
  }
  async setGraceTime(graceTimeMs: number): Promise<void> {
    this.#check()
    await this.#change(() => ({ graceTimeMs }))
  }
  async lease(): Promise<Lease | null> {
    this.#check()
    return this.entry.state.lease ?? null
  }
  async setLease(lease: Lease | null): Promise<void> {
    this.#check()
    await this.#change(() => ({ lease }))
  }

  get #limits(): Limits {
    return this.entry.state.limits ?? this.entry.spec.limits ?? {}
  }
  #streamLimits(): StreamLimits {
    return this.host.options.streamLimits ?? DEFAULT_STREAM_LIMITS
  }
  /** One change of the container after the other: each journals what it changes. */
  async #alone<T>(change: () => Promise<T>): Promise<T> {
    this.entry.changes ??= new Turnstile(1)
    return await this.entry.changes.pass(async () => {
      this.#check()
      return await change()
    })
  }
  async #change(changeOf: (now: Readonly<ContainerState>) => Partial<ContainerState>): Promise<void> {
    await this.host.depot.change(this.handle, this.entry.state, changeOf)
  }
  #check(): void {
    if (!this.isKnown()) throw new ContainerNotFoundError(this.handle)
  }
  /** Every process but the first and those that stand for sidecars, as the host numbers them. */
  #others(): number[] {
    const inits = [this.entry, ...this.entry.peas.values()].map(({ state }) => state.init?.pid)
    const pids = groupsOf(this.entry).flatMap((group) => this.host.cgroups.processes(group))
    return pids.filter((pid) => !inits.includes(pid) && pid !== 0)
  }
  /** Frozen meanwhile, so that none can fork away and no number can be reused. */
  async #signalAll(signal: NodeJS.Signals): Promise<void> {
    const groups = groupsOf(this.entry)
    try {
      for (const group of groups) await this.host.cgroups.freeze(group)
      for (const pid of this.#others()) killQuietly(pid, signal)
    } finally {
      for (const group of groups) await this.host.cgroups.thaw(group)
    }
  }
  async #disk(): Promise<Metrics['disk']> {
    const { spec, state } = this.entry
    const image = await this.host.imageSizes.of(state.imageLayers ?? [])
    const withImage = ({ bytes, inodes }: Usage): Metrics['disk'] => ({
      totalBytes: bytes + image.bytes,
      exclusiveBytes: bytes,
      exclusiveInodes: inodes,
      totalInodes: inodes + image.inodes,
    })
    if ((spec.limits?.disk?.byteHard ?? 0) > 0 || (spec.limits?.disk?.inodeHard ?? 0) > 0) {
      /* the loop mount is visible only in the shim's mount namespace */
      const stage = this.host.options.stageDir ?? DEFAULT_STAGE_DIR
      const disk = statfsSync(`/proc/${state.shim?.pid}/root${stage}/disk`)
      const inodes = Math.max(0, disk.files - disk.ffree - OWN_INODES)
      return withImage({ bytes: (disk.blocks - disk.bfree) * disk.bsize, inodes })
    }
    const { usage, ageMs } = await this.host.usage.read(join(this.host.depot.folder(this.handle), 'up'))
    return { ...withImage(usage), ageMs }
  }
}
