import { readFileSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, failpoint } from '@croft/kit'
import {
  AlreadyInUseError,
  ServiceUnavailableError,
  type ContainerSpec,
  type Lease,
  type Limits,
  type MappedPort,
  type NetOutRule,
} from '@croft/garden-api'
import { isHandle } from '../home/naming.js'
import { removeTree } from './remove-tree.js'
import { makeSpreadFolder } from './spread-folder.js'

/** A process of the host, safe against a reused process id. */
export interface ProcessIdentity {
  pid: number
  /** Field 22 of /proc/<pid>/stat: when it started, in clock ticks since boot. */
  startTicks: number
}

/** What is known of a container on disk. `creating` and `destroying` are finished or undone after a crash. */
export interface ContainerState {
  step: 'creating' | 'created' | 'destroying'
  bootId: string
  slot: number
  address: string
  /** The block the address was asked in. */
  subnet?: string | null
  /** Ports of the host reserved for it, whether or not they lead there yet. */
  ports?: MappedPort[]
  /** What it may reach beyond its spec's rules. */
  netOut?: NetOutRule[]
  createdAtMs: number
  /** Whether `stop` was called: such a container stays `stopped`. */
  isStopped: boolean
  properties: Record<string, string>
  graceTimeMs?: number
  lease?: Lease | null
  /** The limits in force where they were changed since the spec. */
  limits?: Limits
  /** The image's directories, for its share of what the container takes on disk. */
  imageLayers?: string[]
  /** The image's environment. */
  imageEnv: string[]
  shim: ProcessIdentity | null
  init: ProcessIdentity | null
}

export interface DepotEntry {
  handle: string
  spec: ContainerSpec
  state: ContainerState
}

const SPEC = 'spec.json'
const STATE = 'state.json'

/**
 * `<depot>/<handle>/`: everything a container has on disk. Each write is whole or not there at all, whenever this process
 * dies; none waits for the disk. What has to outlast the kernel is nothing: after a reboot no container runs, and every entry
 * is removed, be its journal of another boot, torn or empty.
 */
export class Depot {
  /** The last write of each entry: the next waits for it. */
  readonly #writing = new Map<string, Promise<void>>()

  constructor(readonly dir: string) {}

  folder(handle: string): string {
    return join(this.dir, handle)
  }
  async prepare(): Promise<void> {
    await makeSpreadFolder(this.dir)
  }
  /** Handles that have a folder. Whatever else somebody put into the depot is not ours, and stays. */
  async list(): Promise<string[]> {
    const entries = await readdir(this.dir, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory() && isHandle(entry.name)).map((entry) => entry.name)
  }
  /**
   * Makes the folder with the spec and the first state.
   * @throws AlreadyInUseError when something has that name, DiskFullError
   */
  async begin(handle: string, spec: ContainerSpec, state: ContainerState): Promise<void> {
    try {
      await mkdir(this.folder(handle), { mode: 0o700 })
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') throw new AlreadyInUseError(`Handle '${handle}'`)
      throw asDiskFull(error, this.dir)
    }
    failpoint('container-folder-made')
    await this.#put(handle, SPEC, JSON.stringify(spec))
    failpoint('container-spec-written')
    await this.write(handle, state)
  }
  /** Writes the state as it is when its turn has come. @throws DiskFullError */
  async write(handle: string, state: ContainerState): Promise<void> {
    await this.change(handle, state, () => ({}))
  }
  /** Changes the state once the change is written; when that fails, nothing has changed. @throws DiskFullError */
  async change(
    handle: string,
    state: ContainerState,
    changeOf: (now: Readonly<ContainerState>) => Partial<ContainerState>,
  ): Promise<void> {
    const before = this.#writing.get(handle) ?? Promise.resolve()
    const mine = before
      .catch(() => undefined) // its own caller hears of a failure
      .then(async () => {
        const change = changeOf(state)
        await this.#put(handle, STATE, JSON.stringify({ ...state, ...change }))
        Object.assign(state, change)
      })
    this.#writing.set(handle, mine)
    try {
      await mine
    } finally {
      if (this.#writing.get(handle) === mine) this.#writing.delete(handle)
    }
  }
  /**
   * Notes that a container is to go. On a full disk its state is dropped instead: an entry without one is removed as well. A
   * folder that is not there any more needs no note.
   */
  async writeDestroying(handle: string, state: ContainerState): Promise<void> {
    try {
      await this.write(handle, state)
    } catch (error) {
      if (!(error instanceof DiskFullError) && errnoOf(error) !== 'ENOENT') throw error
      await rm(join(this.folder(handle), STATE), { force: true })
    }
  }
  /**
   * The entry, or null when it is half-written or unreadable: then only its folder is left to remove. Read at once: a daemon
   * that starts over hundreds of entries finds them in memory, sooner than a thread for each of two files.
   */
  read(handle: string): DepotEntry | null {
    try {
      const parsed = (name: string): unknown => JSON.parse(readFileSync(join(this.folder(handle), name), 'utf8'))
      const entry = { handle, spec: parsed(SPEC) as ContainerSpec, state: parsed(STATE) as ContainerState }
      return isState(entry.state) ? entry : null
    } catch (error) {
      if (['ENOENT', 'EISDIR', 'ELOOP'].includes(errnoOf(error) ?? '') || error instanceof SyntaxError) return null
      throw error
    }
  }
  /** Removes the depot itself. */
  async destroy(): Promise<void> {
    await removeTree(this.dir)
  }

  async #put(handle: string, name: string, text: string): Promise<void> {
    const path = join(this.folder(handle), name)
    try {
      await writeFile(`${path}.new`, text, { mode: 0o600 })
      await rename(`${path}.new`, path)
    } catch (error) {
      throw asDiskFull(error, this.dir)
    }
  }
}

/** The file system of the depot has no room for a journal. */
export class DiskFullError extends ServiceUnavailableError {
  constructor(dir: string, cause: unknown) {
    super(`the disk that holds ${dir} is full: free some of it, or destroy containers`, cause)
  }
}

function asDiskFull(error: unknown, dir: string): unknown {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '') ? new DiskFullError(dir, error) : error
}

function isIdentity(value: unknown): boolean {
  return (
    value === null ||
    (typeof value === 'object' && 'pid' in value && 'startTicks' in value && Number.isInteger(value.pid))
  )
}

/** Whether a parsed journal can be worked with; one that was torn or edited may be any JSON. */
function isState(value: ContainerState | null): value is ContainerState {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['creating', 'created', 'destroying'].includes(value.step) &&
    Number.isInteger(value.slot) &&
    typeof value.address === 'string' &&
    typeof value.bootId === 'string' &&
    typeof value.properties === 'object' &&
    isIdentity(value.shim) &&
    isIdentity(value.init)
  )
}
