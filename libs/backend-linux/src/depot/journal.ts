import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, run } from '@croft/kit'
import type { ContainerSpec, Lease, Limits } from '@croft/garden-api'

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
  createdAtMs: number
  /** Whether `stop` was called: such a container stays `stopped`. */
  isStopped: boolean
  properties: Record<string, string>
  graceTimeMs?: number
  lease?: Lease | null
  /** The limits in force where they were changed since the spec. */
  limits?: Limits
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
const REMOVE_TIMEOUT_MS = 10 * 60_000

/** `<depot>/<handle>/`: everything a container has on disk. Each write is durable before it returns. */
export class Depot {
  constructor(readonly dir: string) {}

  folder(handle: string): string {
    return join(this.dir, handle)
  }
  async prepare(): Promise<void> {
    await mkdir(this.dir, { recursive: true, mode: 0o700 })
  }
  async list(): Promise<string[]> {
    const entries = await readdir(this.dir, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  }
  async has(handle: string): Promise<boolean> {
    return (await this.list()).includes(handle)
  }
  /** Makes the folder with the spec and the first state. */
  async begin(handle: string, spec: ContainerSpec, state: ContainerState): Promise<void> {
    await mkdir(this.folder(handle), { mode: 0o700 })
    await writeDurably(join(this.folder(handle), SPEC), JSON.stringify(spec))
    await this.write(handle, state)
    await syncFolder(this.dir)
  }
  async write(handle: string, state: ContainerState): Promise<void> {
    await writeDurably(join(this.folder(handle), STATE), JSON.stringify(state))
    await syncFolder(this.folder(handle))
  }
  /** The entry, or null when it is half-written or unreadable: then only its folder is left to remove. */
  async read(handle: string): Promise<DepotEntry | null> {
    try {
      const [spec, state] = await Promise.all([
        readFile(join(this.folder(handle), SPEC), 'utf8'),
        readFile(join(this.folder(handle), STATE), 'utf8'),
      ])
      const entry = { handle, spec: JSON.parse(spec) as ContainerSpec, state: JSON.parse(state) as ContainerState }
      return isState(entry.state) ? entry : null
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return null
      throw error
    }
  }
  async remove(handle: string): Promise<void> {
    await removeTree(this.folder(handle))
  }
  /** Removes the depot itself. */
  async destroy(): Promise<void> {
    await removeTree(this.dir)
  }
}

function isState(value: ContainerState | null): value is ContainerState {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof value.slot === 'number' &&
    typeof value.address === 'string' &&
    typeof value.bootId === 'string'
  )
}

/** With rm(1), which holds no paths: a tenant may have nested folders deeper than one can name. */
async function removeTree(path: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', '--', path], { timeoutMs: REMOVE_TIMEOUT_MS })
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
