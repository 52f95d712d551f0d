import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { LimitBelowUseError, type Limits } from '@croft/garden-api'
import { changeFiles, writeLimits } from './apply.js'
import { MAIN, OWN, SERVING, SHIMS, type Cgroups } from './cgroups.js'
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
import { cpuV2, keyedNumbers, limitOf, memoryV2, pidsOf, unreclaimableBytes, type CgroupMetrics } from './metrics.js'

const CONTROLLERS = ['cpu', 'cpuset', 'io', 'memory', 'pids']

/** Version 2: one tree. */
export class CgroupsV2 implements Cgroups {
  readonly version = 2
  readonly #hot = new HotFiles()

  private constructor(
    private readonly root: string,
    private readonly home: string,
    readonly hasSwapLimit: boolean,
    readonly hasFreezer: boolean,
    readonly io: IoControl,
  ) {}

  /** Hands the controllers down to the home's children: once, since a home's cgroup stays as long as it has its index. */
  static async open(root: string, home: string, diskFolder?: string): Promise<CgroupsV2> {
    const dir = join(root, home)
    await mkdir(dir, { recursive: true })
    let at = root
    for (const part of ['', ...home.split('/')]) {
      at = join(at, part)
      await delegate(at)
    }
    const io = diskFolder === undefined ? NO_IO_CONTROL : await probeIo(2, root, dir, diskFolder)
    const has = async (file: string): Promise<boolean> => await exists(join(dir, file))
    return new CgroupsV2(root, home, await has('memory.swap.max'), await has('cgroup.freeze'), io)
  }

  pathFor(handle: string, child = MAIN): string {
    return `/${this.home}/${handle}/${child}`
  }
  async create(handle: string, limits: Limits | undefined): Promise<void> {
    await mkdir(this.#dir(handle), { recursive: true })
    await writeLimits((write) => this.#path(handle, write), limitWrites(this, limits))
  }
  async change(handle: string, change: Limits, merged: Limits): Promise<() => Promise<void>> {
    const dir = this.#dir(handle)
    const wanted = change.memory?.limitBytes ?? 0
    if (wanted > 0) {
      /* the kernel would not refuse: it would kill until the rest fits */
      const [current, stat] = await Promise.all([
        readFile(join(dir, 'memory.current'), 'utf8'),
        readFile(join(dir, 'memory.stat'), 'utf8'),
      ])
      if (unreclaimableBytes(current, stat) > wanted) throw new LimitBelowUseError('memory')
    }
    const present = limitOf(await readFile(join(dir, 'memory.max'), 'utf8'))
    const writes = changeWrites(this, change, merged, present ?? Infinity)
    return await changeFiles((write) => this.#path(handle, write), writes)
  }
  processes(handle: string, child?: string): number[] {
    const dir = this.#dir(handle)
    return child === undefined ? processesBelow(dir) : processesIn(join(dir, child))
  }
  oomFile(handle: string, child = ''): string {
    return join(this.#dir(handle), child, 'memory.events')
  }
  async freeze(handle: string): Promise<void> {
    const dir = this.#dir(handle)
    await Promise.all((await children(dir)).map(async (child) => await freezeOne(join(dir, child), handle)))
  }
  async thaw(handle: string): Promise<void> {
    const dir = this.#dir(handle)
    for (const child of await children(dir)) await writeIfThere(join(dir, child, 'cgroup.freeze'), '0')
  }
  async pause(handle: string): Promise<void> {
    await freezeOne(this.#dir(handle), handle)
  }
  async resume(handle: string): Promise<void> {
    await writeIfThere(join(this.#dir(handle), 'cgroup.freeze'), '0')
  }
  isPaused(handle: string): boolean {
    return readNowOr(join(this.#dir(handle), 'cgroup.freeze'), '0').trim() === '1'
  }
  async hurry(handle: string): Promise<() => Promise<void>> {
    return await hurryGroup(join(this.#dir(handle), 'cpu.idle'))
  }
  metrics(handle: string): CgroupMetrics {
    const dir = this.#dir(handle)
    const read = (file: string): string => this.#hot.read(handle, `${dir}/${file}`)
    return {
      memory: memoryV2({
        stat: read('memory.stat'),
        limit: read('memory.max'),
        swap: this.#hot.readOr(handle, `${dir}/memory.swap.current`, ''),
      }),
      cpu: cpuV2(read('cpu.stat')),
      pids: pidsOf(read('pids.current'), read('pids.max')),
    }
  }
  async remove(handle: string): Promise<void> {
    this.#hot.forget(handle)
    await removePair(this.#dir(handle), MAIN)
  }
  async list(): Promise<string[]> {
    return (await children(join(this.root, this.home))).filter((name) => !name.startsWith(OWN))
  }
  async ownGroups(): Promise<string[]> {
    const names = await children(join(this.root, this.home))
    return names.filter((name) => name.startsWith(OWN) && ![SHIMS, SERVING].includes(name))
  }
  async shimDirs(): Promise<string[]> {
    await mkdir(this.#dir(SHIMS), { recursive: true })
    return [this.#dir(SHIMS)]
  }
  async shims(): Promise<number[]> {
    return processesIn(this.#dir(SHIMS))
  }
  async servingDirs(): Promise<string[]> {
    const dir = join(this.#dir(SERVING), MAIN)
    await mkdir(dir, { recursive: true })
    return [dir]
  }
  hasKilledForMemory(handle: string): boolean {
    return (keyedNumbers(readNowOr(this.oomFile(handle), ''))['oom_kill'] ?? 0) > 0
  }
  async removeContents(): Promise<void> {
    for (const child of await children(join(this.root, this.home))) await removeTree(join(this.root, this.home, child))
  }
  #path(handle: string, write: LimitWrite): string {
    return join(this.#dir(handle), write.group === 'main' ? MAIN : '', write.file)
  }
  #dir(name: string): string {
    return join(this.root, this.home, name)
  }
}

/** Hands a directory's controllers to its children, those that are not handed down yet. */
async function delegate(dir: string): Promise<void> {
  const words = async (file: string): Promise<string[]> => (await readFile(join(dir, file), 'utf8')).trim().split(/\s+/)
  const [offered, handed] = await Promise.all([words('cgroup.controllers'), words('cgroup.subtree_control')])
  for (const controller of CONTROLLERS) {
    if (!offered.includes(controller) || handed.includes(controller)) continue
    try {
      await writeFile(join(dir, 'cgroup.subtree_control'), `+${controller}`)
    } catch (error) {
      /* cpuset and io are not what every parent lets go of; the others a container cannot do without */
      if (!['cpuset', 'io'].includes(controller) || errnoOf(error) === 'ENOENT') throw error
    }
  }
}

async function freezeOne(dir: string, name: string): Promise<void> {
  await writeIfThere(join(dir, 'cgroup.freeze'), '1') // a sidecar's goes with it: then nothing is left to freeze
  const isFrozen = async (): Promise<boolean> =>
    keyedNumbers(await readOr(join(dir, 'cgroup.events'), 'frozen 1'))['frozen'] === 1
  await waitUntilFrozen(isFrozen, name)
}
