import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, waitFor } from '@croft/kit'
import { ServiceUnavailableError, type Limits, type Metrics } from '@croft/garden-api'
import { detectCgroups, type CgroupLayout } from './detect.js'
import { limitWrites } from './limits.js'

/** Shims live here; no handle can have this name. */
const SHIMS = '_shims'
/** The child that holds a container's processes; its parent carries the limits. */
export const MAIN = 'main'
const REMOVE_TIMEOUT_MS = 10_000

export type CgroupMetrics = Pick<Metrics, 'memory' | 'cpu' | 'pids'>

/** The cgroups of one home: `/croft/<k>/<handle>/main` in every hierarchy, for both cgroup versions. */
export interface Cgroups {
  readonly version: 1 | 2
  readonly hasSwapLimit: boolean
  /** Absolute path for runc. */
  pathFor(handle: string): string
  create(handle: string, limits: Limits | undefined): Promise<void>
  /** Process ids, as this process sees them; empty when there is no such cgroup. */
  processes(handle: string): Promise<number[]>
  /** The file whose `oom_kill` line counts kills for memory. */
  oomFile(handle: string): string
  freeze(handle: string): Promise<void>
  thaw(handle: string): Promise<void>
  metrics(handle: string): Promise<CgroupMetrics>
  remove(handle: string): Promise<void>
  /** Handles that have a cgroup. */
  list(): Promise<string[]>
  /** Directories a shim joins; made when missing. */
  shimDirs(): Promise<string[]>
  shims(): Promise<number[]>
  /** Whether a process was ever killed for memory. */
  hasKilledForMemory(handle: string): Promise<boolean>
  /** Removes all that lies below the home's cgroups, which stay where they are the reservation of its index. */
  removeContents(): Promise<void>
}

/** @throws ServiceUnavailableError when no usable cgroups are mounted */
export async function openCgroups(root: string, index: number): Promise<Cgroups> {
  const layout = await readLayout()
  const home = `${root}/${index}`
  if (layout.version === 2) return new CgroupsV2(layout.root, home, await exists('/proc/swaps'))
  return new CgroupsV1(
    layout,
    home,
    await exists(join(layout.mounts.get('memory') ?? '', 'memory.memsw.limit_in_bytes')),
  )
}

export async function readLayout(): Promise<CgroupLayout> {
  const layout = detectCgroups(await readFile('/proc/self/mountinfo', 'utf8'))
  if (layout === null) throw new ServiceUnavailableError('no cgroups with memory and pids controllers are mounted')
  return layout
}

async function read(path: string): Promise<string> {
  return await readFile(path, 'utf8')
}

async function readOr(path: string, fallback: string): Promise<string> {
  try {
    return await read(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return fallback
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

async function list(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

const numbers = (text: string): number[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map(Number)

/** `key value` lines as a record. */
function stats(text: string): Record<string, number> {
  const out: Record<string, number> = {}
  for (const line of text.split('\n')) {
    const [key, value] = line.split(' ')
    if (key !== undefined && value !== undefined) out[key] = Number(value)
  }
  return out
}

/** Removes a cgroup and what is below it, waiting for processes that are on their way out. */
async function removeTree(path: string): Promise<void> {
  for (const child of await list(path)) await removeTree(join(path, child))
  await waitFor(
    async () => {
      try {
        await rmdir(path)
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return true
        if (errnoOf(error) === 'EBUSY') return false
        throw error
      }
      return true
    },
    { what: `${path} to be empty`, timeoutMs: REMOVE_TIMEOUT_MS, everyMs: 2 },
  )
}

async function writeLimits(
  dirOf: (controller: string) => string,
  version: 1 | 2,
  limits: Limits | undefined,
): Promise<void> {
  for (const write of limitWrites(version, limits)) {
    try {
      await writeFile(join(dirOf(write.controller), write.file), write.value)
    } catch (error) {
      if (write.isOptional !== true) throw error
    }
  }
}

/** `memory.limit_in_bytes` without a limit is a huge number. */
const limitOf = (text: string): number | null => {
  const value = Number(text)
  return text.trim() === 'max' || !Number.isFinite(value) || value >= 2 ** 60 ? null : value
}

class CgroupsV1 implements Cgroups {
  readonly version = 1

  constructor(
    private readonly layout: CgroupLayout & { version: 1 },
    private readonly home: string,
    readonly hasSwapLimit: boolean,
  ) {}

  pathFor(handle: string): string {
    return `/${this.home}/${handle}/${MAIN}`
  }
  async create(handle: string, limits: Limits | undefined): Promise<void> {
    for (const controller of ['memory', 'cpu', 'pids']) await mkdir(this.#dir(controller, handle), { recursive: true })
    await writeLimits((controller) => this.#dir(controller, handle), 1, limits)
  }
  async processes(handle: string): Promise<number[]> {
    return numbers(await readOr(join(this.#dir('pids', handle), MAIN, 'cgroup.procs'), ''))
  }
  oomFile(handle: string): string {
    return join(this.#dir('memory', handle), MAIN, 'memory.oom_control')
  }
  async freeze(handle: string): Promise<void> {
    const file = join(this.#dir('freezer', handle), MAIN, 'freezer.state')
    await writeFile(file, 'FROZEN')
    await waitFor(async () => (await readOr(file, 'FROZEN')).trim() === 'FROZEN', {
      what: 'the container to freeze',
      timeoutMs: 5000,
      everyMs: 2,
    })
  }
  async thaw(handle: string): Promise<void> {
    try {
      await writeFile(join(this.#dir('freezer', handle), MAIN, 'freezer.state'), 'THAWED')
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
  async metrics(handle: string): Promise<CgroupMetrics> {
    const memory = this.#dir('memory', handle)
    const [stat, limit, usage, user, system, pids, pidsMax] = await Promise.all([
      read(join(memory, 'memory.stat')),
      read(join(memory, 'memory.limit_in_bytes')),
      readOr(join(this.#dir('cpuacct', handle), 'cpuacct.usage'), '0'),
      readOr(join(this.#dir('cpuacct', handle), 'cpuacct.usage_user'), '0'),
      readOr(join(this.#dir('cpuacct', handle), 'cpuacct.usage_sys'), '0'),
      read(join(this.#dir('pids', handle), 'pids.current')),
      read(join(this.#dir('pids', handle), 'pids.max')),
    ])
    const memoryStat = stats(stat)
    const of = (key: string): number => memoryStat[key] ?? 0
    const toward = of('total_rss') + of('total_cache') + of('total_swap') - of('total_inactive_file')
    return {
      memory: { usageTowardLimitBytes: Math.max(0, toward), limitBytes: limitOf(limit), stat: memoryStat },
      cpu: { usageNs: Number(usage), userNs: Number(user), systemNs: Number(system) },
      pids: { current: Number(pids), max: limitOf(pidsMax) },
    }
  }
  async remove(handle: string): Promise<void> {
    await Promise.all(this.#roots().map(async (root) => await removeTree(join(root, this.home, handle))))
  }
  async list(): Promise<string[]> {
    const found = await Promise.all(this.#roots().map(async (root) => await list(join(root, this.home))))
    return [...new Set(found.flat())].filter((name) => name !== SHIMS)
  }
  async shimDirs(): Promise<string[]> {
    const dirs = ['memory', 'pids'].map((controller) => this.#dir(controller, SHIMS))
    for (const dir of dirs) await mkdir(dir, { recursive: true })
    return dirs
  }
  async shims(): Promise<number[]> {
    return numbers(await readOr(join(this.#dir('pids', SHIMS), 'cgroup.procs'), ''))
  }
  async hasKilledForMemory(handle: string): Promise<boolean> {
    return (stats(await readOr(this.oomFile(handle), ''))['oom_kill'] ?? 0) > 0
  }
  async removeContents(): Promise<void> {
    const pids = this.layout.mounts.get('pids')
    for (const root of this.#roots()) {
      if (root !== pids) await removeTree(join(root, this.home))
      else for (const child of await list(join(root, this.home))) await removeTree(join(root, this.home, child))
    }
  }
  #dir(controller: string, name: string): string {
    const mount = this.layout.mounts.get(controller)
    if (mount === undefined) throw new ServiceUnavailableError(`the ${controller} cgroup controller is not mounted`)
    return join(mount, this.home, name)
  }
  #roots(): string[] {
    return [
      ...new Set([...this.layout.mounts.values(), ...(this.layout.unified === null ? [] : [this.layout.unified])]),
    ]
  }
}

class CgroupsV2 implements Cgroups {
  readonly version = 2

  constructor(
    private readonly root: string,
    private readonly home: string,
    readonly hasSwapLimit: boolean,
  ) {}

  pathFor(handle: string): string {
    return `/${this.home}/${handle}/${MAIN}`
  }
  async create(handle: string, limits: Limits | undefined): Promise<void> {
    await mkdir(this.#dir(handle), { recursive: true })
    let at = this.root
    for (const part of this.home.split('/')) {
      await this.#delegate(at)
      at = join(at, part)
    }
    await this.#delegate(at)
    await writeLimits(() => this.#dir(handle), 2, limits)
  }
  async processes(handle: string): Promise<number[]> {
    return numbers(await readOr(join(this.#dir(handle), MAIN, 'cgroup.procs'), ''))
  }
  oomFile(handle: string): string {
    return join(this.#dir(handle), 'memory.events')
  }
  async freeze(handle: string): Promise<void> {
    const dir = join(this.#dir(handle), MAIN)
    await writeFile(join(dir, 'cgroup.freeze'), '1')
    await waitFor(async () => stats(await readOr(join(dir, 'cgroup.events'), 'frozen 1'))['frozen'] === 1, {
      what: 'the container to freeze',
      timeoutMs: 5000,
      everyMs: 2,
    })
  }
  async thaw(handle: string): Promise<void> {
    try {
      await writeFile(join(this.#dir(handle), MAIN, 'cgroup.freeze'), '0')
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
  async metrics(handle: string): Promise<CgroupMetrics> {
    const dir = this.#dir(handle)
    const [stat, limit, cpu, pids, pidsMax] = await Promise.all([
      read(join(dir, 'memory.stat')),
      read(join(dir, 'memory.max')),
      read(join(dir, 'cpu.stat')),
      read(join(dir, 'pids.current')),
      read(join(dir, 'pids.max')),
    ])
    const memoryStat = stats(stat)
    const cpuStat = stats(cpu)
    const of = (key: string): number => memoryStat[key] ?? 0
    return {
      memory: {
        usageTowardLimitBytes: Math.max(0, of('anon') + of('file') + of('swapcached') - of('inactive_file')),
        limitBytes: limitOf(limit),
        stat: memoryStat,
      },
      cpu: {
        usageNs: (cpuStat['usage_usec'] ?? 0) * 1000,
        userNs: (cpuStat['user_usec'] ?? 0) * 1000,
        systemNs: (cpuStat['system_usec'] ?? 0) * 1000,
      },
      pids: { current: Number(pids), max: limitOf(pidsMax) },
    }
  }
  async remove(handle: string): Promise<void> {
    await removeTree(this.#dir(handle))
  }
  async list(): Promise<string[]> {
    return (await list(join(this.root, this.home))).filter((name) => name !== SHIMS)
  }
  async shimDirs(): Promise<string[]> {
    await mkdir(this.#dir(SHIMS), { recursive: true })
    return [this.#dir(SHIMS)]
  }
  async shims(): Promise<number[]> {
    return numbers(await readOr(join(this.#dir(SHIMS), 'cgroup.procs'), ''))
  }
  async hasKilledForMemory(handle: string): Promise<boolean> {
    return (stats(await readOr(this.oomFile(handle), ''))['oom_kill'] ?? 0) > 0
  }
  async removeContents(): Promise<void> {
    for (const child of await list(join(this.root, this.home))) await removeTree(join(this.root, this.home, child))
  }
  #dir(name: string): string {
    return join(this.root, this.home, name)
  }
  /** Hands the controllers a container needs to the children of a directory. */
  async #delegate(dir: string): Promise<void> {
    const has = (await read(join(dir, 'cgroup.controllers'))).trim().split(' ')
    for (const controller of ['cpu', 'cpuset', 'io', 'memory', 'pids']) {
      if (has.includes(controller)) await writeFile(join(dir, 'cgroup.subtree_control'), `+${controller}`)
    }
  }
}
