import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, messageOf } from '@croft/kit'
import { ProcessNotFoundError, type ProcessExit, type ProcessIo } from '@croft/garden-api'
import { hasEnded } from '../depot/process-identity.js'
import { ShimGoneError, type ShimProcess, type ShimWatch } from '../shim/client.js'
import { readExit } from '../shim/logs.js'
import type { Entry, Host } from './host.js'

/** A shim whose connection ended gets this long to be gone. */
const SHIM_END_MS = 1_000
/** Where the kernel tells nobody of a kill for memory (cgroup v1), containers with a memory limit are looked at. */
const MEMORY_EVERY_MS = 2_000

interface Watched {
  entry: Entry
  /** Undefined until the connection stands. */
  shim: ShimWatch | undefined
  /** Processes that are watched, by id; until the connection stands also those that have ended since. */
  processes: Set<string>
  /** Kills for memory that were told. */
  memoryKills: number
}

/**
 * Notices what containers do by themselves and says so in the host's events: processes that end, kills for memory, shims that
 * die. Knows nothing of the past: whoever comes back lists first.
 */
export class ContainerWatch {
  readonly #watched = new Map<string, Watched>()
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly host: Host,
    /** Told of each container whose shim has died without being asked to. */
    private readonly onLost: (entry: Entry) => Promise<void>,
  ) {}

  /**
   * Watches a container from now on, and the processes that run in it already, over a connection if there is one; a shim that is
   * gone is a lost container.
   */
  watch(entry: Entry, shim?: ShimWatch): void {
    const watched = { entry, shim: undefined, processes: new Set<string>(), memoryKills: this.#memoryKills(entry) }
    this.#watched.set(entry.handle, watched)
    void this.#follow(watched, shim)
    this.#timer ??= setInterval(() => this.#lookAtMemory(), MEMORY_EVERY_MS).unref()
  }

  /** A process has been started; one without output streams is watched by the connection it has already. */
  started(entry: Entry, id: string, process: ShimProcess, io: ProcessIo): void {
    this.host.events.append({ kind: 'process-started', handle: entry.handle, processId: id, pid: process.pid })
    /* the exit comes after the output, so a slow reader would hold it back */
    const hasOutput = io.stdout !== undefined || io.stderr !== undefined
    const watched = this.#watched.get(entry.handle)
    if (watched?.entry === entry) void this.#untilExit(watched, id, hasOutput ? undefined : process)
  }

  /** Looks no more; what happens while a container is destroyed is known. */
  forget(handle: string): void {
    const watched = this.#watched.get(handle)
    this.#watched.delete(handle)
    watched?.shim?.close()
  }

  close(): void {
    clearInterval(this.#timer)
    for (const handle of this.#watched.keys()) this.forget(handle)
  }

  /** Keeps a connection to the shim for as long as the container is watched. Never rejects. */
  async #follow(watched: Watched, opened?: ShimWatch): Promise<void> {
    const { entry } = watched
    let next = opened
    while (this.#isWatched(watched)) {
      try {
        const shim = next ?? (await entry.client.watch())
        next = undefined
        for (const process of shim.processes) void this.#untilExit(watched, process.id)
        watched.shim = shim
        if (!this.#isWatched(watched)) return shim.close()
        await shim.ended
        watched.shim = undefined
      } catch (error) {
        /* one that is being destroyed need not */
        if (entry.state.step === 'created')
          this.host.logger.warn('shim-does-not-answer', { handle: entry.handle, why: messageOf(error) })
      }
      const { shim } = entry.state
      /* one that lives and does not answer is slow: its container is not lost, and asked for again */
      if (shim === null || (await hasEnded(shim, SHIM_END_MS))) return await this.#lose(watched)
    }
  }
  async #lose(watched: Watched): Promise<void> {
    if (!this.#isWatched(watched)) return
    this.#watched.delete(watched.entry.handle)
    await this.onLost(watched.entry)
  }
  #isWatched(watched: Watched): boolean {
    return this.#watched.get(watched.entry.handle) === watched
  }

  /** Never rejects. */
  async #untilExit(watched: Watched, id: string, process?: ShimProcess): Promise<void> {
    if (watched.processes.has(id)) return
    watched.processes.add(id)
    const { entry } = watched
    const exit = await this.#exitOf(entry, id, process)
    if (watched.shim !== undefined) watched.processes.delete(id)
    if (exit === null || !this.#isWatched(watched)) return
    if (exit.isOutOfMemory) this.#tellMemoryKills(entry.handle)
    this.host.events.append({ kind: 'process-exited', handle: entry.handle, processId: id, exit })
  }

  /** How it ended, or null when nobody will ever know. */
  async #exitOf(entry: Entry, id: string, process?: ShimProcess): Promise<ProcessExit | null> {
    try {
      if (process !== undefined) return await process.exit
    } catch {
      // whoever started it let go of it, or the container is gone: that shows next
    }
    try {
      const client = entry.peas.get(id)?.client ?? entry.client
      const attached = await client.attach(id, {}, { kind: 'now' })
      attached.unref()
      return await attached.exit
    } catch (error) {
      if (!(error instanceof ProcessNotFoundError) && !(error instanceof ShimGoneError)) {
        this.host.logger.warn('process-not-watched', { handle: entry.handle, process: id, why: messageOf(error) })
      }
      return readExit(join(this.host.depot.folder(entry.handle), 'proc', id))
    }
  }

  #lookAtMemory(): void {
    for (const { entry } of this.#watched.values()) {
      if ((entry.spec.limits?.memory?.limitBytes ?? 0) > 0) this.#tellMemoryKills(entry.handle)
    }
  }
  #tellMemoryKills(handle: string): void {
    const watched = this.#watched.get(handle)
    if (watched === undefined) return
    const kills = this.#memoryKills(watched.entry)
    if (kills > watched.memoryKills) this.host.events.append({ kind: 'out-of-memory', handle })
    watched.memoryKills = Math.max(kills, watched.memoryKills)
  }
  /** Read at once: the kernel answers from memory, sooner than a thread would be found. */
  #memoryKills(entry: Entry): number {
    try {
      const text = readFileSync(this.host.cgroups.oomFile(entry.handle), 'utf8')
      return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return 0
      throw error
    }
  }
}
