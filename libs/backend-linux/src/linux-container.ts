import { randomUUID } from 'node:crypto'
import { readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { errnoOf, messageOf, systemClock } from '@croft/kit'
import {
  ContainerNotFoundError,
  GardenError,
  NotSupportedError,
  ProcessNotFoundError,
  StreamError,
  UnrecoverableError,
  type Container,
  type ContainerInfo,
  type Lease,
  type Limits,
  type LogChunk,
  type MappedPort,
  type Metrics,
  type Process,
  type ProcessExit,
  type ProcessInfo,
  type ProcessIo,
  type ProcessSpec,
} from '@croft/garden-api'
import { mergeEnv } from './containerizer/environment.js'
import { processProblem, refuse } from './containerizer/validate.js'
import type { Entry, Host } from './containerizer/host.js'
import { killQuietly } from './depot/process-identity.js'
import { linkName } from './home/naming.js'
import { DEFAULT_STAGE_DIR } from './options.js'
import { ShimGoneError, flagsFor, type ShimProcess } from './shim/client.js'
import { RLIMIT_NUMBERS, RUN_FLAGS, type RunRequest } from './shim/frames.js'
import { readExit, readKeptLog, readStarted } from './shim/logs.js'
import { directoryUsage } from './volumizer/usage.js'
import { readLinkCounters } from './networker/counters.js'

const TERM_TIMEOUT_MS = 10_000
const KILL_TIMEOUT_MS = 10_000
const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24
const MAX_STREAM_ERROR_BYTES = 4096

/** A container of this host, seen through its shim. */
export class LinuxContainer implements Container {
  constructor(
    private readonly host: Host,
    private readonly entry: Entry,
    /** Whether it is still listed; every call asks. */
    private readonly isKnown: () => boolean,
  ) {}

  get handle(): string {
    return this.entry.handle
  }

  async info(): Promise<ContainerInfo> {
    this.#check()
    const { state } = this.entry
    const hasOom = await this.#hasKilledForMemory()
    return {
      state: state.isStopped ? 'stopped' : 'active',
      events: hasOom ? ['Out of memory'] : [],
      hostIp: this.host.networker.gateway,
      containerIp: state.address,
      externalIp: this.host.networker.gateway,
      containerPath: this.host.depot.folder(this.handle),
      processIds: (await this.processes()).map((process) => process.id),
      properties: { ...state.properties },
      mappedPorts: [],
    }
  }

  async metrics(): Promise<Metrics> {
    this.#check()
    const [cgroup, network, disk] = await Promise.all([
      this.host.cgroups.metrics(this.handle),
      readLinkCounters(linkName(this.host.names, this.entry.state.slot)),
      this.#disk(),
    ])
    return { ...cgroup, network, disk, ageMs: this.host.now() - this.entry.state.createdAtMs }
  }

  async stop(options: { kill?: boolean } = {}): Promise<void> {
    this.#check()
    if (options.kill !== true) {
      await this.#signalAll('SIGTERM')
      const patience = systemClock.monotonic() + TERM_TIMEOUT_MS
      while ((await this.#others()).length > 0 && systemClock.monotonic() < patience) await systemClock.sleep(20)
    }
    const end = systemClock.monotonic() + KILL_TIMEOUT_MS
    while ((await this.#others()).length > 0) {
      if (systemClock.monotonic() > end) throw new UnrecoverableError('a process of the container does not die')
      await this.#signalAll('SIGKILL')
      await systemClock.sleep(5)
    }
    this.entry.state.isStopped = true
    await this.host.depot.write(this.handle, this.entry.state)
  }

  async run(spec: ProcessSpec, io: ProcessIo = {}): Promise<Process> {
    this.#check()
    refuse(processProblem(spec))
    const id = spec.id ?? randomUUID()
    const tty = spec.tty === true ? { columns: DEFAULT_COLUMNS, rows: DEFAULT_ROWS } : spec.tty
    const process = await this.#guard(
      async () =>
        await this.entry.client.run(
          {
            ...this.#request('exec', id, spec.user ?? '', spec.env ?? []),
            flags: flagsFor(io) | (tty === undefined ? 0 : RUN_FLAGS.tty),
            columns: tty?.columns ?? 0,
            rows: tty?.rows ?? 0,
            dir: spec.dir ?? '',
            path: spec.path,
            args: spec.args ?? [],
            rlimits: Object.entries(spec.rlimits ?? {}).map(
              ([name, value]) => [RLIMIT_NUMBERS[name as keyof typeof RLIMIT_NUMBERS], value] as const,
            ),
          },
          io,
        ),
    )
    return this.#process(id, process)
  }

  async attach(processId: string, io: ProcessIo = {}): Promise<Process> {
    this.#check()
    const folder = this.#processFolder(processId)
    const exit = await readExit(folder)
    if (exit !== null) return finishedProcess(processId, exit)
    try {
      return this.#process(processId, await this.#guard(async () => await this.entry.client.attach(processId, io)))
    } catch (error) {
      const late = error instanceof ProcessNotFoundError ? await readExit(folder) : null
      if (late === null) throw error
      return finishedProcess(processId, late)
    }
  }

  async processes(): Promise<ProcessInfo[]> {
    this.#check()
    const folder = join(this.host.depot.folder(this.handle), 'proc')
    const ids = await listFolders(folder)
    const found = await Promise.all(
      ids.map(async (id): Promise<ProcessInfo | null> => {
        const started = await readStarted(join(folder, id))
        if (started === null) return null
        const exit = await readExit(join(folder, id))
        return {
          id,
          pid: exit === null ? started.pid : null,
          state: exit === null ? 'running' : 'exited',
          exit,
          startedAtMs: started.startedAtMs,
        }
      }),
    )
    return found.filter((process) => process !== null)
  }

  async readLog(processId: string, stream: 'stdout' | 'stderr', fromOffset = 0): Promise<LogChunk> {
    this.#check()
    const folder = this.#processFolder(processId)
    if ((await readStarted(folder)) === null) throw new ProcessNotFoundError(processId)
    return await readKeptLog(folder, stream, fromOffset)
  }

  async streamIn(options: { user: string; path: string; tar: Readable }): Promise<void> {
    this.#check()
    const errors = new Tail(MAX_STREAM_ERROR_BYTES)
    const process = await this.#stream('tar-in', options, { stdin: options.tar, stderr: errors.writable })
    const failed = new Promise<never>((_resolve, reject) => {
      options.tar.once('error', (error) => reject(new StreamError('in', messageOf(error))))
      options.tar.once('close', () => {
        if (!options.tar.readableEnded) reject(new StreamError('in', 'the archive ended early'))
      })
    })
    try {
      const exit = await Promise.race([process.exit, failed])
      if (exit.exitCode !== 0) throw new StreamError('in', errors.text() || `ended with ${exit.exitCode}`)
    } catch (error) {
      throw error instanceof ShimGoneError ? new StreamError('in', messageOf(error)) : error
    } finally {
      process.detach()
      failed.catch(() => undefined)
    }
  }

  async streamOut(options: { user: string; path: string }): Promise<Readable> {
    this.#check()
    const errors = new Tail(MAX_STREAM_ERROR_BYTES)
    const out = new PassThrough()
    const process = await this.#stream('tar-out', options, { stdout: out, stderr: errors.writable })
    out.once('close', () => process.detach())
    process.exit.then(
      (exit) => {
        if (exit.exitCode === 0) out.end()
        else out.destroy(new StreamError('out', errors.text() || `ended with ${exit.exitCode}`))
      },
      (error: unknown) => out.destroy(new StreamError('out', messageOf(error))),
    )
    return out
  }

  async properties(): Promise<Record<string, string>> {
    this.#check()
    return { ...this.entry.state.properties }
  }
  async setProperty(key: string, value: string): Promise<void> {
    this.#check()
    this.entry.state.properties[key] = value
    await this.host.depot.write(this.handle, this.entry.state)
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
    delete this.entry.state.properties[key]
    await this.host.depot.write(this.handle, this.entry.state)
  }

  async limits(): Promise<Limits> {
    this.#check()
    return { ...this.entry.spec.limits }
  }
  async changeLimits(): Promise<void> {
    this.#check()
    throw new NotSupportedError('changing limits')
  }
  async netIn(): Promise<MappedPort> {
    this.#check()
    throw new NotSupportedError('mapping ports of the host')
  }
  async netOut(): Promise<void> {
    this.#check()
    throw new NotSupportedError('changing what a container may reach')
  }
  async graceTimeMs(): Promise<number> {
    this.#check()
    return this.entry.state.graceTimeMs ?? 0
  }
  async setGraceTime(graceTimeMs: number): Promise<void> {
    this.#check()
    this.entry.state.graceTimeMs = graceTimeMs
    await this.host.depot.write(this.handle, this.entry.state)
  }
  async lease(): Promise<Lease | null> {
    this.#check()
    return this.entry.state.lease ?? null
  }
  async setLease(lease: Lease | null): Promise<void> {
    this.#check()
    this.entry.state.lease = lease
    await this.host.depot.write(this.handle, this.entry.state)
  }

  #check(): void {
    if (!this.isKnown()) throw new ContainerNotFoundError(this.handle)
  }
  /** A shim that is gone while the container is being destroyed is no news. */
  async #guard<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof ShimGoneError && !this.isKnown()) throw new ContainerNotFoundError(this.handle)
      throw error
    }
  }
  #request(kind: RunRequest['kind'], id: string, user: string, env: readonly string[]): RunRequest {
    return {
      kind,
      id,
      user,
      flags: 0,
      columns: 0,
      rows: 0,
      dir: '',
      path: '',
      args: [],
      rlimits: [],
      env: mergeEnv(this.entry.state.imageEnv, this.entry.spec.env ?? [], env),
    }
  }
  async #stream(
    kind: 'tar-in' | 'tar-out',
    options: { user: string; path: string },
    io: ProcessIo,
  ): Promise<ShimProcess> {
    refuse(processProblem({ path: options.path, user: options.user }))
    const request = { ...this.#request(kind, randomUUID(), options.user, []), flags: flagsFor(io), path: options.path }
    try {
      return await this.#guard(async () => await this.entry.client.run(request, io))
    } catch (error) {
      if (error instanceof GardenError && error.code === 'invalid-spec')
        throw new StreamError(kind === 'tar-in' ? 'in' : 'out', error.message)
      throw error
    }
  }
  #processFolder(id: string): string {
    if (processProblem({ id, path: '-' }) !== null) throw new ProcessNotFoundError(id)
    return join(this.host.depot.folder(this.handle), 'proc', id)
  }
  #process(id: string, shim: ShimProcess): Process {
    const wait = async (): Promise<ProcessExit> => {
      try {
        return await shim.exit
      } catch (error) {
        const kept = await readExit(this.#processFolder(id))
        if (kept !== null) return kept
        throw error
      }
    }
    return {
      id,
      wait: async (signal) => await abortable(wait(), signal),
      signal: async (number) => await this.#guard(async () => await this.entry.client.signal(id, number)),
      resize: async (columns, rows) => await this.#guard(async () => await this.entry.client.resize(id, columns, rows)),
      detach: () => shim.detach(),
    }
  }
  /** Every process but the first, as the host numbers them. */
  async #others(): Promise<number[]> {
    const init = this.entry.state.init?.pid
    return (await this.host.cgroups.processes(this.handle)).filter((pid) => pid !== init && pid !== 0)
  }
  /** Frozen meanwhile, so that none can fork away and no number can be reused. */
  async #signalAll(signal: NodeJS.Signals): Promise<void> {
    try {
      await this.host.cgroups.freeze(this.handle)
      for (const pid of await this.#others()) killQuietly(pid, signal)
    } finally {
      await this.host.cgroups.thaw(this.handle)
    }
  }
  async #hasKilledForMemory(): Promise<boolean> {
    return await this.host.cgroups.hasKilledForMemory(this.handle)
  }
  async #disk(): Promise<Metrics['disk']> {
    const { spec, state } = this.entry
    if ((spec.limits?.disk?.byteHard ?? 0) > 0 || (spec.limits?.disk?.inodeHard ?? 0) > 0) {
      /* the loop mount is visible only in the shim's mount namespace */
      const stage = this.host.options.stageDir ?? DEFAULT_STAGE_DIR
      const disk = await statfs(`/proc/${state.shim?.pid}/root${stage}/disk`)
      const used = (disk.blocks - disk.bfree) * disk.bsize
      return { totalBytes: used, exclusiveBytes: used, exclusiveInodes: disk.files - disk.ffree }
    }
    const usage = await directoryUsage(join(this.host.depot.folder(this.handle), 'up'))
    return { totalBytes: usage.bytes, exclusiveBytes: usage.bytes, exclusiveInodes: usage.inodes }
  }
}

function finishedProcess(id: string, exit: ProcessExit): Process {
  const gone = async (): Promise<never> => {
    throw new ProcessNotFoundError(id)
  }
  return { id, wait: async () => exit, signal: gone, resize: gone, detach: () => undefined }
}

async function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return await promise
  signal.throwIfAborted()
  return await new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

async function listFolders(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

/** Keeps the first bytes of what is written to it. */
class Tail {
  readonly #parts: Buffer[] = []
  #size = 0
  readonly writable: Writable

  constructor(limit: number) {
    const stream = new PassThrough()
    stream.on('data', (chunk: Buffer) => {
      if (this.#size >= limit) return
      this.#parts.push(chunk)
      this.#size += chunk.length
    })
    this.writable = stream
  }
  text(): string {
    return Buffer.concat(this.#parts).toString().trim()
  }
}
