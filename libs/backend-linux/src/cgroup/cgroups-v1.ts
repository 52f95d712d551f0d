import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ServiceUnavailableError, type Limits } from '@croft/garden-api'
import { changeFiles, writeLimits } from './apply.js'
import { MAIN, OWN, SERVING, SHIMS, type Cgroups } from './cgroups.js'
import type { CgroupLayout } from './detect.js'
import {
  children,
  exists,
  hurryGroup,
  processesBelow,
  processesIn,
  readNowOr,
  readOr,
  removePair,
  removeTree,
  waitUntilFrozen,
  writeIfThere,
} from './files.js'
import { HotFiles } from './hot-files.js'
import { probeIo } from './io-probe.js'
import { NO_IO_CONTROL, type IoControl } from './io.js'
import { changeWrites, limitWrites, type LimitWrite } from './limits.js'
import { cpuV1, keyedNumbers, limitOf, memoryV1, pidsOf, type CgroupMetrics } from './metrics.js'

type LayoutV1 = CgroupLayout & { version: 1 }

/** Looks at a cgroup that does not freeze, a millisecond apart, before it is thawed for a moment. */
const LOOKS_BEFORE_ANEW = 20

/** Version 1: a hierarchy for each controller. */
export class CgroupsV1 implements Cgroups {
  readonly version = 1
  readonly #hot = new HotFiles()

  private constructor(
    private readonly layout: LayoutV1,
    private readonly home: string,
    readonly hasSwapLimit: boolean,
    readonly io: IoControl,
  ) {}

  static async open(layout: LayoutV1, home: string, diskFolder?: string): Promise<CgroupsV1> {
    const memory = layout.mounts.get('memory') ?? ''
    const blkio = layout.mounts.get('blkio')
    let io = NO_IO_CONTROL
    if (blkio !== undefined && diskFolder !== undefined) {
      await mkdir(join(blkio, home), { recursive: true })
      io = await probeIo(1, blkio, join(blkio, home), diskFolder)
    }
    return new CgroupsV1(layout, home, await exists(join(memory, 'memory.memsw.limit_in_bytes')), io)
  }

  get hasFreezer(): boolean {
    return this.layout.mounts.has('freezer')
  }
  pathFor(handle: string, child = MAIN): string {
    return `/${this.home}/${handle}/${child}`
  }
  async create(handle: string, limits: Limits | undefined): Promise<void> {
    const dirs = ['memory', 'cpu', 'pids'].map((controller) => this.#dir(controller, handle))
    if (this.hasFreezer) dirs.push(this.#dir('freezer', handle))
    if (this.layout.mounts.has('blkio')) dirs.push(join(this.#dir('blkio', handle), MAIN))
    for (const dir of dirs) await mkdir(dir, { recursive: true })
    await writeLimits((write) => this.#path(handle, write), limitWrites(this, limits))
  }
  async change(handle: string, change: Limits, merged: Limits): Promise<() => Promise<void>> {
    const present = limitOf(await readFile(join(this.#dir('memory', handle), 'memory.limit_in_bytes'), 'utf8'))
    const writes = changeWrites(this, change, merged, present ?? Infinity)
    return await changeFiles((write) => this.#path(handle, write), writes)
  }
  processes(handle: string, child?: string): number[] {
    const dir = this.#dir('pids', handle)
    return child === undefined ? processesBelow(dir) : processesIn(join(dir, child))
  }
  oomFile(handle: string, child = MAIN): string {
    return join(this.#dir('memory', handle), child, 'memory.oom_control')
  }
  async freeze(handle: string): Promise<void> {
    const dir = this.#dir('freezer', handle)
    await Promise.all((await children(dir)).map(async (child) => await freezeOne(join(dir, child), handle)))
  }
  async thaw(handle: string): Promise<void> {
    const dir = this.#dir('freezer', handle)
    for (const child of await children(dir)) await writeIfThere(join(dir, child, 'freezer.state'), 'THAWED')
  }
  async pause(handle: string): Promise<void> {
    await freezeOne(this.#dir('freezer', handle), handle)
  }
  async resume(handle: string): Promise<void> {
    if (this.hasFreezer) await writeIfThere(join(this.#dir('freezer', handle), 'freezer.state'), 'THAWED')
  }
  isPaused(handle: string): boolean {
    return this.hasFreezer && readNowOr(join(this.#dir('freezer', handle), 'freezer.self_freezing'), '0').trim() === '1'
  }
  async hurry(handle: string): Promise<() => Promise<void>> {
    return await hurryGroup(join(this.#dir('cpu', handle), 'cpu.idle'))
  }
  metrics(handle: string): CgroupMetrics {
    const memory = this.#dir('memory', handle)
    const pids = this.#dir('pids', handle)
    const cpu = this.layout.mounts.has('cpuacct') ? join(this.#dir('cpuacct', handle), 'cpuacct.usage') : ''
    const read = (path: string): string => this.#hot.read(handle, path)
    const readCpu = (path: string): string => (cpu === '' ? '0' : this.#hot.readOr(handle, path, '0'))
    return {
      memory: memoryV1({ stat: read(`${memory}/memory.stat`), limit: read(`${memory}/memory.limit_in_bytes`) }),
      cpu: cpuV1({ usage: readCpu(cpu), user: readCpu(`${cpu}_user`), system: readCpu(`${cpu}_sys`) }),
      pids: pidsOf(read(`${pids}/pids.current`), read(`${pids}/pids.max`)),
    }
  }
  async remove(handle: string): Promise<void> {
    this.#hot.forget(handle)
    await Promise.all(this.#roots().map(async (root) => await removePair(join(root, this.home, handle), MAIN)))
  }
  async list(): Promise<string[]> {
    return (await this.#names()).filter((name) => !name.startsWith(OWN))
  }
  async ownGroups(): Promise<string[]> {
    return (await this.#names()).filter((name) => name.startsWith(OWN) && ![SHIMS, SERVING].includes(name))
  }
  async shimDirs(): Promise<string[]> {
    const dirs = ['memory', 'pids'].map((controller) => this.#dir(controller, SHIMS))
    for (const dir of dirs) await mkdir(dir, { recursive: true })
    return dirs
  }
  async shims(): Promise<number[]> {
    return processesIn(this.#dir('pids', SHIMS))
  }
  async servingDirs(): Promise<string[]> {
    const dirs = ['cpu', 'pids'].map((controller) => join(this.#dir(controller, SERVING), MAIN))
    for (const dir of dirs) await mkdir(dir, { recursive: true })
    return dirs
  }
  hasKilledForMemory(handle: string): boolean {
    return (keyedNumbers(readNowOr(this.oomFile(handle), ''))['oom_kill'] ?? 0) > 0
  }
  async removeContents(): Promise<void> {
    const pids = this.layout.mounts.get('pids')
    for (const root of this.#roots()) {
      if (root !== pids) await removeTree(join(root, this.home))
      else for (const child of await children(join(root, this.home))) await removeTree(join(root, this.home, child))
    }
  }
  async #names(): Promise<string[]> {
    const found = await Promise.all(this.#roots().map(async (root) => await children(join(root, this.home))))
    return [...new Set(found.flat())]
  }
  #path(handle: string, write: LimitWrite): string {
    const dir = this.#dir(write.controller === 'io' ? 'blkio' : write.controller, handle)
    return write.group === 'main' ? join(dir, MAIN, write.file) : join(dir, write.file)
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

/**
 * Version 1 freezes a child that was made to start a program before its parent, who waits for it in the kernel and cannot be
 * frozen there: the cgroup then stays FREEZING for ever. Thawed for a moment, both go on, and the next try meets them elsewhere.
 */
async function freezeOne(dir: string, name: string): Promise<void> {
  const file = join(dir, 'freezer.state')
  await writeIfThere(file, 'FROZEN') // a sidecar's goes with it: then nothing is left to freeze
  let looks = 0
  const isFrozen = async (): Promise<boolean> => {
    if ((await readOr(file, 'FROZEN')).trim() === 'FROZEN') return true
    looks += 1
    if (looks % LOOKS_BEFORE_ANEW === 0) for (const state of ['THAWED', 'FROZEN']) await writeIfThere(file, state)
    return false
  }
  await waitUntilFrozen(isFrozen, name)
}
