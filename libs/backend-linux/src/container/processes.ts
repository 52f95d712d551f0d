import { randomUUID } from 'node:crypto'
import {
  AlreadyInUseError,
  ContainerNotFoundError,
  ProcessNotFoundError,
  ServiceUnavailableError,
  refuse,
  type AttachFrom,
  type LogChunk,
  type Process,
  type ProcessExit,
  type ProcessInfo,
  type ProcessIo,
  type ProcessSpec,
} from '@croft/garden-api'
import { mergeEnv } from '../containerizer/environment.js'
import { startPea } from './peas.js'
import { processProblem } from '../containerizer/validate.js'
import { processFolder, type Entry, type Host } from '../containerizer/host.js'
import type { ContainerWatch } from '../containerizer/watch.js'
import { ShimGoneError, flagsFor, type ShimClient, type ShimProcess } from '../shim/client.js'
import { RLIMIT_NUMBERS, RUN_FLAGS, type RunRequest } from '../shim/frames.js'
import { readExit, readKeptLog } from '../shim/logs.js'
import type { TarRequest } from './files.js'
import { refusePaused } from './paused.js'
import { MAX_ENDED, ProcessFolders } from './process-folders.js'
import { replayFinished } from './replay.js'

const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24
/** Remembered processes are counted so seldom. */
const RUNS_BETWEEN_PRUNES = MAX_ENDED / 8

/** The processes of one container: started through its shim, remembered in its depot folder. */
export class Processes {
  constructor(
    private readonly host: Host,
    private readonly entry: Entry,
    private readonly watch: ContainerWatch,
    /** Whether the container is still listed. */
    private readonly isKnown: () => boolean,
  ) {}

  async run(spec: ProcessSpec, io: ProcessIo): Promise<Process> {
    refuse(processProblem(spec))
    refusePaused(this.host, this.entry.handle)
    const id = spec.id ?? randomUUID()
    const shim = await this.#guard(async () => await this.#startAnew(id, spec, io))
    this.watch.started(this.entry, id, shim, io)
    this.#forgetSome()
    return this.#process(id, shim)
  }
  /** The id of a process that has ended is free: what is kept of that one goes. */
  async #startAnew(id: string, spec: ProcessSpec, io: ProcessIo): Promise<ShimProcess> {
    try {
      return await this.#start(id, spec, io)
    } catch (error) {
      const old = error instanceof AlreadyInUseError ? this.#folders.retire(id) : null
      if (old === null) throw error
      try {
        const shim = await this.#start(id, spec, io)
        this.host.drains.removeTree(old.tree)
        return shim
      } catch (failure) {
        old.putBack()
        throw failure
      }
    }
  }
  /** A container may run a process every second for years. */
  #forgetSome(): void {
    this.entry.runs = (this.entry.runs ?? 0) + 1
    if (this.entry.runs % RUNS_BETWEEN_PRUNES > 0) return
    for (const tree of this.#folders.prune()) this.host.drains.removeTree(tree)
  }
  async #start(id: string, spec: ProcessSpec, io: ProcessIo): Promise<ShimProcess> {
    const request = this.#runRequest(id, spec, io)
    if (spec.image !== undefined) return await startPea(this.host, this.entry, { id, spec, request, io })
    if (this.entry.peas.has(id)) throw new AlreadyInUseError(`process ID '${id}'`)
    return await this.entry.client.run(request, io)
  }

  async attach(id: string, io: ProcessIo, from: AttachFrom): Promise<Process> {
    const folder = this.#folder(id)
    if (readExit(folder) === null) {
      try {
        return this.#process(id, await this.#guard(async () => await this.#client(id).attach(id, io, from)))
      } catch (error) {
        // it may have ended just now
        if (!(error instanceof ProcessNotFoundError) || readExit(folder) === null) throw error
      }
    }
    return replayFinished(id, folder, io, from)
  }

  /** Those that run, and of those that have ended the latest. */
  list(): ProcessInfo[] {
    return this.#folders.list()
  }

  async readLog(id: string, stream: 'stdout' | 'stderr', fromOffset: number): Promise<LogChunk> {
    const folder = this.#folder(id)
    if (this.#folders.get(id) === null) throw new ProcessNotFoundError(id)
    return await readKeptLog(folder, stream, fromOffset)
  }

  async startTar(request: TarRequest, io: ProcessIo): Promise<ShimProcess> {
    refusePaused(this.host, this.entry.handle)
    const whole = { ...this.#request(request.kind, request.id, request.user, []), ...request }
    return await this.#guard(async () => await this.entry.client.run(whole, io))
  }

  #runRequest(id: string, spec: ProcessSpec, io: ProcessIo): RunRequest {
    const tty = spec.tty === true ? { columns: DEFAULT_COLUMNS, rows: DEFAULT_ROWS } : spec.tty
    return {
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
  /** The shim that serves a process. */
  #client(id: string): ShimClient {
    return this.entry.peas.get(id)?.client ?? this.entry.client
  }
  #folder(id: string): string {
    if (processProblem({ id, path: '-' }) !== null) throw new ProcessNotFoundError(id)
    return this.#folders.folder(id)
  }
  get #folders(): ProcessFolders {
    this.entry.processes ??= new ProcessFolders(processFolder(this.host, this.entry.handle))
    return this.entry.processes
  }
  #process(id: string, shim: ShimProcess): Process {
    const wait = async (): Promise<ProcessExit> => {
      try {
        return await shim.exit
      } catch (error) {
        const kept = readExit(this.#folder(id))
        if (kept !== null) return kept
        throw error
      }
    }
    return {
      id,
      wait: async (signal) => await abortable(wait(), signal),
      signal: async (number) => await this.#guard(async () => await this.#client(id).signal(id, number)),
      resize: async (columns, rows) => await this.#guard(async () => await this.#client(id).resize(id, columns, rows)),
      detach: () => shim.detach(),
    }
  }
  /** A shim that is gone while the container is being destroyed is no news. */
  async #guard<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof ShimGoneError && !this.isKnown()) throw new ContainerNotFoundError(this.entry.handle)
      /* frozen after we looked and before it answered */
      if (error instanceof ServiceUnavailableError) refusePaused(this.host, this.entry.handle)
      throw error
    }
  }
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
