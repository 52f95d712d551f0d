import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { messageOf, type Clock } from '@croft/kit'
import type { AttachFrom, Container, LogChunk, Process, ProcessIo } from '../backend.js'
import {
  AlreadyInUseError,
  ContainerNotFoundError,
  ContainerPausedError,
  ExecutableNotFoundError,
  GardenError,
  NotSupportedError,
  ProcessNotFoundError,
  StreamError,
  UserNotFoundError,
} from '../errors.js'
import { mergeLimits } from '../limits.js'
import type {
  ContainerInfo,
  Lease,
  Limits,
  LiveLimits,
  MappedPort,
  Metrics,
  NetIn,
  NetOutRule,
  ProcessExit,
  ProcessInfo,
  ProcessSpec,
} from '../types.js'
import { limitProblem, netInProblem, processSpecProblem, refuse } from '../spec-rules.js'
import { FakeProcess } from './fake-process.js'
import type { FakeProgram } from './programs.js'
import type { FakeRecord, FakeStore } from './fake-store.js'

const SIGTERM = 15
const SIGKILL = 9
const TERM_TIMEOUT_MS = 10_000

/** Called before every operation; throws when the test planned a failure. */
export type FaultCheck = (call: string, handle: string) => Promise<void>

export class FakeContainer implements Container {
  constructor(
    private readonly record: FakeRecord,
    private readonly store: FakeStore,
    private readonly clock: Clock,
    private readonly programs: Readonly<Record<string, FakeProgram>>,
    private readonly fault: FaultCheck,
  ) {}

  get handle(): string {
    return this.record.handle
  }
  async info(): Promise<ContainerInfo> {
    await this.#enter('info')
    return {
      state: this.record.isStopped ? 'stopped' : 'active',
      events: [],
      hostIp: '10.255.0.1',
      containerIp: this.record.address,
      externalIp: '10.255.0.1',
      containerPath: `/fake/${this.handle}`,
      processIds: [...this.record.processes.keys()],
      properties: { ...this.record.properties },
      mappedPorts: [...this.record.mappedPorts],
    }
  }
  async metrics(): Promise<Metrics> {
    await this.#enter('metrics')
    const { limits } = this.record
    return {
      memory: { usageTowardLimitBytes: 0, limitBytes: limits.memory?.limitBytes || null, stat: {} },
      cpu: { usageNs: 0, userNs: 0, systemNs: 0 },
      disk: { totalBytes: 0, exclusiveBytes: 0, exclusiveInodes: 0 },
      network: { rxBytes: 0, txBytes: 0 },
      pids: { current: this.#running().length + 1, max: limits.pids?.max || null },
      ageMs: this.clock.now() - this.record.createdAtMs,
    }
  }
  async stop(options: { kill?: boolean } = {}): Promise<void> {
    await this.#enter('stop')
    this.#refusePaused()
    if (options.kill !== true) {
      for (const process of this.#running()) process.signal(SIGTERM)
      await nextTurn()
      const ended = Promise.all(this.#running().map((process) => process.ended))
      if (this.#running().length > 0) await Promise.race([ended, this.clock.sleep(TERM_TIMEOUT_MS)])
    }
    for (const process of this.#running()) process.signal(SIGKILL)
    await Promise.all([...this.record.processes.values()].map((process) => process.ended))
    if (!this.record.isStopped) this.store.onEvent({ kind: 'stopped', handle: this.handle })
    this.record.isStopped = true
  }
  async run(spec: ProcessSpec, io: ProcessIo = {}): Promise<Process> {
    await this.#enter('run')
    this.#refusePaused()
    refuse(processSpecProblem(spec))
    if (spec.image !== undefined) throw new NotSupportedError('a process with an image of its own')
    const id = spec.id ?? randomUUID()
    if (this.record.processes.get(id)?.exit === null) throw new AlreadyInUseError(`process ID '${id}'`)
    this.#checkUser(spec.user)
    const program = this.programs[spec.path]
    if (program === undefined) throw new ExecutableNotFoundError(spec.path)
    const env = [...(this.record.spec.env ?? []), ...(spec.env ?? [])]
    const file = (path: string): Buffer | undefined => this.record.files.get(path)
    const process = new FakeProcess(id, this.store.nextPid(), spec, this.clock, { program, env, file }, io)
    this.record.processes.set(id, process)
    this.record.isStopped = false
    this.store.onEvent({ kind: 'process-started', handle: this.handle, processId: id, pid: process.pid })
    void process.ended.then((exit) =>
      this.store.onEvent({ kind: 'process-exited', handle: this.handle, processId: id, exit }),
    )
    return this.#process(process, io)
  }
  async attach(processId: string, io: ProcessIo = {}, from: AttachFrom = { kind: 'now' }): Promise<Process> {
    await this.#enter('attach')
    const process = this.#find(processId)
    process.join(io, from)
    return this.#process(process, io)
  }
  async processes(): Promise<ProcessInfo[]> {
    await this.#enter('processes')
    return [...this.record.processes.values()].map((process) => process.info())
  }
  async readLog(processId: string, stream: 'stdout' | 'stderr', fromOffset = 0): Promise<LogChunk> {
    await this.#enter('readLog')
    return this.#find(processId).readLog(stream, fromOffset)
  }
  async streamIn(options: { user: string; path: string; tar: Readable }): Promise<void> {
    await this.#enter('streamIn')
    this.#refusePaused()
    this.#checkStreamUser('in', options.user)
    await this.record.files.unpack(options.path, options.tar)
  }
  async streamOut(options: { user: string; path: string }): Promise<Readable> {
    await this.#enter('streamOut')
    this.#refusePaused()
    this.#checkStreamUser('out', options.user)
    return this.record.files.pack(options.path)
  }
  async properties(): Promise<Record<string, string>> {
    await this.#enter('properties')
    return { ...this.record.properties }
  }
  async setProperty(key: string, value: string): Promise<void> {
    await this.#enter('setProperty')
    this.record.properties[key] = value
  }
  async removeProperty(key: string): Promise<void> {
    await this.#enter('removeProperty')
    if (!(key in this.record.properties)) {
      throw new GardenError({
        code: 'property-not-found',
        status: 404,
        title: `property does not exist: ${key}`,
        handle: this.handle,
      })
    }
    delete this.record.properties[key]
  }

  async limits(): Promise<Limits> {
    await this.#enter('limits')
    return { ...this.record.limits }
  }
  async changeLimits(limits: LiveLimits): Promise<void> {
    await this.#enter('changeLimits')
    refuse(limitProblem(limits))
    if (limits.bandwidth !== undefined) throw new NotSupportedError('a bandwidth limit')
    if (limits.io !== undefined) throw new NotSupportedError('an I/O limit')
    this.record.limits = mergeLimits(this.record.limits, limits)
    this.store.onEvent({ kind: 'limits-changed', handle: this.handle, limits: this.record.limits })
  }
  async netIn(ports: NetIn): Promise<MappedPort> {
    await this.#enter('netIn')
    refuse(netInProblem([ports]))
    const [mapped] = this.store.map([ports])
    this.record.mappedPorts.push(mapped as MappedPort)
    return mapped as MappedPort
  }
  async netOut(rules: readonly NetOutRule[]): Promise<void> {
    await this.#enter('netOut')
    this.record.netOut.push(...rules)
  }
  async graceTimeMs(): Promise<number> {
    await this.#enter('graceTimeMs')
    return this.record.graceTimeMs
  }
  async setGraceTime(graceTimeMs: number): Promise<void> {
    await this.#enter('setGraceTime')
    this.record.graceTimeMs = graceTimeMs
  }
  async lease(): Promise<Lease | null> {
    await this.#enter('lease')
    return this.record.lease
  }
  async setLease(lease: Lease | null): Promise<void> {
    await this.#enter('setLease')
    this.record.lease = lease
  }

  #refusePaused(): void {
    if (this.record.isPaused) throw new ContainerPausedError(this.handle)
  }
  async #enter(call: string): Promise<void> {
    await this.fault(call, this.handle)
    if (this.store.records.get(this.handle) !== this.record) throw new ContainerNotFoundError(this.handle)
  }
  #find(id: string): FakeProcess {
    const process = this.record.processes.get(id)
    if (process === undefined) throw new ProcessNotFoundError(id)
    return process
  }
  #running(): FakeProcess[] {
    return [...this.record.processes.values()].filter((process) => process.exit === null)
  }
  #checkUser(user: string | undefined): void {
    const name = (user ?? 'root').split(':')[0] ?? 'root'
    if (name !== '' && !/^\d+$/.test(name) && !this.store.users.has(name)) throw new UserNotFoundError(name)
  }
  #checkStreamUser(direction: 'in' | 'out', user: string): void {
    try {
      this.#checkUser(user)
    } catch (error) {
      throw new StreamError(direction, messageOf(error))
    }
  }
  #process(process: FakeProcess, io: ProcessIo): Process {
    return {
      id: process.id,
      wait: async (signal) => await waitUnlessAborted(process.ended, signal),
      signal: async (number) => process.signal(number),
      resize: async () => {
        if (process.exit !== null) throw new ProcessNotFoundError(process.id)
      },
      detach: () => process.leave(io),
    }
  }
}

async function waitUnlessAborted(ended: Promise<ProcessExit>, signal?: AbortSignal): Promise<ProcessExit> {
  if (signal === undefined) return await ended
  signal.throwIfAborted()
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
  return await Promise.race([ended, aborted])
}
