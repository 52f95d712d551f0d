import { randomUUID } from 'node:crypto'
import { mkdir, readFile, stat, statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { isIPv4 } from 'node:net'
import { messageOf, systemClock } from '@croft/kit'
import {
  AlreadyInUseError,
  ContainerNotFoundError,
  EventLog,
  InvalidSpecError,
  NotSupportedError,
  ServiceUnavailableError,
  refuse,
  type Backend,
  type Capabilities,
  type Capacity,
  type Container,
  type ContainerEvent,
  type ContainerInfo,
  type ContainerSpec,
  type DestroyOptions,
  type EventPosition,
  type Metrics,
  type RecoverReport,
  type ResultOf,
} from '@croft/garden-api'
import { weighContainers } from './cgroup/host-share.js'
import { openCgroups, readLayout } from './cgroup/open.js'
import { pauseAll, resumeAll } from './cgroup/freezer.js'
import { ioCapability, ioProblem } from './cgroup/io.js'
import { checkNetwork } from './containerizer/allocate.js'
import { groupsOf, peaMetrics, removeWhenEnded } from './container/peas.js'
import { createContainer } from './containerizer/create.js'
import { all } from './containerizer/deadline.js'
import { Drains } from './containerizer/drains.js'
import { networkOf, readHostFacts, type Entry, type Host } from './containerizer/host.js'
import { readopt, sweep } from './containerizer/readopt.js'
import { Removals, type RemovalReason } from './containerizer/removals.js'
import { Turnstile } from './containerizer/turnstile.js'
import { specProblem } from './containerizer/validate.js'
import { ContainerWatch } from './containerizer/watch.js'
import { lockDepot } from './depot/depot-lock.js'
import { Depot } from './depot/journal.js'
import { makeSpreadFolder } from './depot/spread-folder.js'
import { cleanHome } from './home/clean.js'
import { readBootId } from './home/index-reservation.js'
import { homeNames } from './home/naming.js'
import { LinuxContainer } from './linux-container.js'
import { parseNetwork } from './networker/address.js'
import { AddressAllocator, SlotAllocator } from './networker/allocator.js'
import { Networker } from './networker/apply.js'
import { DEFAULT_CGROUP_ROOT, DEFAULT_STAGE_DIR, SLOTS_PER_HOME, type LinuxBackendOptions } from './options.js'
import { Starter } from './shim/starter.js'
import { canMakeDisks } from './volumizer/disk.js'
import { ImageSizes } from './volumizer/image-sizes.js'
import { directoryUsage, smallUsage } from './volumizer/usage.js'
import { UsageMeter } from './volumizer/usage-meter.js'

const BULK_SLICE = 50
/** What is not off the disk when this backend closes goes on by itself, or with the next one. */
const DRAIN_TIMEOUT_MS = 2_000

/** The Linux backend; beyond the container API it is told its address range and can remove all it made. */
export interface LinuxBackend extends Backend {
  /** The home's range, as the controller gave it; replaces the one before. Containers keep their addresses. */
  setNetwork(network: string): Promise<void>
  /** Destroys every container and everything else of this home but its index. */
  destroyAll(): Promise<void>
}

/** @throws ServiceUnavailableError when the host cannot hold containers at all, DepotInUseError when another process serves them */
export async function createLinuxBackend(options: LinuxBackendOptions): Promise<LinuxBackend> {
  const depot = new Depot(options.depotDir)
  await depot.prepare()
  const lock = await lockDepot(options.depotDir)
  try {
    return new Linux(await openHost(options, depot), lock)
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function openHost(options: LinuxBackendOptions, depot: Depot): Promise<Host> {
  const names = homeNames(options.index)
  const now = (): number => (options.clock ?? systemClock).now()
  const networker = new Networker({
    names,
    resolvers: options.resolvers ?? (await hostResolvers()),
    egress: options.egress ?? [],
    ...(options.portPool !== undefined && { portPool: options.portPool }),
    logger: options.logger,
  })
  const starter = new Starter(options.shimPath, options.runDir)
  const facts = await readHostFacts()
  const cgroupRoot = options.cgroupRoot ?? DEFAULT_CGROUP_ROOT
  const cgroups = await openCgroups(cgroupRoot, options.index, options.depotDir)
  await weighContainers(await readLayout(), cgroupRoot, facts.cores)
  const host: Host = {
    options,
    names,
    bootId: await readBootId(),
    depot,
    cgroups,
    networker,
    drains: new Drains(networker, starter, options.logger),
    starter,
    slots: new SlotAllocator(Math.min(options.maxContainers ?? SLOTS_PER_HOME, SLOTS_PER_HOME)),
    addresses: undefined,
    imageSizes: new ImageSizes(),
    usage: new UsageMeter({
      small: smallUsage,
      any: directoryUsage,
      now: () => (options.clock ?? systemClock).monotonic(),
    }),
    facts,
    creates: new Turnstile(1),
    events: new EventLog({
      bootId: randomUUID(),
      now,
      ...(options.keptEvents !== undefined && { kept: options.keptEvents }),
    }),
    logger: options.logger,
    now,
  }
  host.creates = new Turnstile(host.facts.cores)
  await mkdir(options.stageDir ?? DEFAULT_STAGE_DIR, { recursive: true, mode: 0o755 }) // with what is above it, so before the others
  await mkdir(options.runDir, { recursive: true, mode: 0o700 })
  await makeSpreadFolder(options.runcRoot)
  return host
}

/** The IPv4 name servers of the host. */
async function hostResolvers(): Promise<string[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '')
  return [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? '').filter((address) => isIPv4(address))
}

class Linux implements LinuxBackend {
  readonly #entries = new Map<string, Entry>()
  readonly #creating = new Set<string>()
  /** One freeze or thaw of a group at a time, so that two never see each other's half. */
  readonly #freezing = new Turnstile(1)

  readonly #watch: ContainerWatch
  readonly #removals: Removals

  constructor(
    private readonly host: Host,
    private readonly lock: { release(): Promise<void> },
  ) {
    this.#removals = new Removals(host, (entry, reason) => this.#onRemoved(entry, reason))
    this.#watch = new ContainerWatch(host, async (entry) => await this.#onLost(entry))
  }

  async ping(): Promise<void> {
    const { options, cgroups } = this.host
    try {
      await stat(options.shimPath)
      await cgroups.list()
    } catch (error) {
      throw new ServiceUnavailableError('this host cannot make containers', error)
    }
  }

  async capabilities(): Promise<Capabilities> {
    return {
      cgroupVersion: this.host.cgroups.version,
      hasIdmap: true,
      hasSwapLimit: this.host.cgroups.hasSwapLimit,
      diskQuota: (await canMakeDisks()) ? 'loop' : 'none',
      hasPrivileged: this.host.options.allowPrivileged === true,
      hasNetwork: true,
      hasNetIn: true,
      hasTty: true,
      hasFreezer: this.host.cgroups.hasFreezer,
      hasBandwidth: await this.host.networker.hasBandwidth(),
      io: ioCapability(this.host.cgroups.io),
      hasSidecars: true,
      hasLiveLimits: true,
      hasXattrs: true,
    }
  }

  async capacity(): Promise<Capacity> {
    const disk = await statfs(this.host.options.depotDir)
    return {
      memoryBytes: totalmem(),
      diskBytes: disk.blocks * disk.bsize,
      schedulableDiskBytes: disk.bavail * disk.bsize,
      maxContainers: this.host.slots.size,
    }
  }

  async recover(): Promise<RecoverReport> {
    const { options } = this.host
    if (options.network !== undefined) this.#takeRange(options.network)
    const [, readopted] = await all([
      options.network === undefined ? Promise.resolve() : this.host.networker.prepare(options.network),
      readopt(this.host),
    ])
    const { entries, pending, report } = readopted
    for (const { entry } of entries) this.#entries.set(entry.handle, entry)
    for (const entry of pending) this.#entries.set(entry.handle, entry)
    await all([options.network === undefined ? Promise.resolve() : this.#applyNetwork(), sweep(this.host, readopted)])
    for (const entry of pending) this.#removals.resume(entry)
    for (const { entry, shim } of entries) {
      this.#watch.watch(entry, shim)
      for (const pea of entry.peas.values()) void removeWhenEnded(this.host, entry, pea)
    }
    this.host.logger.info('containers-recovered', { adopted: report.adopted.length, removed: report.removed })
    return report
  }

  async setNetwork(network: string): Promise<void> {
    this.#takeRange(network)
    for (const entry of this.#entries.values()) this.host.addresses?.claim(entry.state.address, entry.state.subnet)
    await this.host.networker.prepare(network)
    await this.#applyNetwork()
  }

  async create(spec: ContainerSpec, signal?: AbortSignal): Promise<Container> {
    const handle = spec.handle ?? randomUUID()
    await this.check({ ...spec, handle })
    this.#refuseTaken(handle)
    this.#creating.add(handle)
    try {
      const entry = await this.host.creates.pass(
        async () => await createContainer(this.host, handle, spec, async (half) => await this.#undo(half), signal),
      )
      this.#entries.set(handle, entry)
      this.host.events.append({ kind: 'created', handle })
      this.#watch.watch(entry)
      return this.#container(entry)
    } finally {
      this.#creating.delete(handle)
    }
  }

  async check(spec: ContainerSpec): Promise<void> {
    refuse(specProblem(spec, this.host.options.allowPrivileged))
    if (spec.handle !== undefined) this.#refuseTaken(spec.handle)
    const io = ioProblem(this.host.cgroups.io, spec.limits?.io)
    if (io !== null) throw new NotSupportedError(io)
    await checkNetwork(this.host, spec)
    if ((spec.limits?.disk?.byteHard ?? 0) > 0 && !(await canMakeDisks())) {
      throw new InvalidSpecError('disk limits are not supported on this node', {
        'limits.disk': 'needs mkfs.ext4 and loop devices',
      })
    }
  }

  async lookup(handle: string): Promise<Container> {
    const entry = this.#entries.get(handle)
    if (entry === undefined) throw new ContainerNotFoundError(handle)
    return this.#container(entry)
  }

  async containers(properties: Record<string, string> = {}): Promise<Container[]> {
    const wanted = Object.entries(properties)
    return [...this.#entries.values()]
      .filter((entry) => wanted.every(([key, value]) => entry.state.properties[key] === value))
      .map((entry) => this.#container(entry))
  }

  async destroy(handle: string, options: DestroyOptions = {}): Promise<void> {
    const entry = this.#entries.get(handle)
    if (entry === undefined) {
      if (options.ifExists === true) return
      throw new ContainerNotFoundError(handle)
    }
    await this.#removals.remove(entry, options.reason ?? 'asked')
  }

  async pause(handles: readonly string[]): Promise<void> {
    await this.#freezing.pass(async () => {
      this.#refuseWithoutFreezer(handles)
      await pauseAll(this.host.cgroups, this.#ownGroups(handles))
      for (const handle of await pauseAll(this.host.cgroups, handles))
        this.host.events.append({ kind: 'paused', handle })
    })
  }
  async resume(handles: readonly string[]): Promise<void> {
    await this.#freezing.pass(async () => {
      this.#refuseWithoutFreezer(handles)
      await resumeAll(this.host.cgroups, this.#ownGroups(handles))
      for (const handle of await resumeAll(this.host.cgroups, handles))
        this.host.events.append({ kind: 'resumed', handle })
    })
  }

  async eventPosition(): Promise<EventPosition> {
    return this.host.events.position
  }
  events(signal: AbortSignal, after: EventPosition = this.host.events.position): AsyncIterable<ContainerEvent> {
    return this.host.events.after(after, signal)
  }

  async bulkInfo(handles: readonly string[]): Promise<Map<string, ResultOf<ContainerInfo>>> {
    return await this.#bulk(handles, async (handle) => await (await this.lookup(handle)).info())
  }
  async bulkMetrics(handles: readonly string[]): Promise<Map<string, ResultOf<Metrics>>> {
    return await this.#bulk(handles, async (handle) => {
      const entry = this.#entries.get(handle)
      const holder = entry ?? this.#holderOf(handle)
      const pea = entry === undefined ? holder?.peas.get(handle) : undefined
      if (holder !== undefined && pea !== undefined) return await peaMetrics(this.host, holder, pea)
      return await (await this.lookup(handle)).metrics()
    })
  }

  async close(): Promise<void> {
    this.#watch.close()
    this.#removals.close()
    await this.host.drains.settled(DRAIN_TIMEOUT_MS)
    this.host.starter.close()
    await this.host.networker.close()
    await this.lock.release()
  }

  async destroyAll(): Promise<void> {
    await this.close()
    this.#entries.clear()
    await cleanHome(this.host.options)
  }

  /** A container nobody destroyed is gone all the same: what is left of it goes too. */
  async #onLost(entry: Entry): Promise<void> {
    const { handle } = entry
    if (this.#entries.get(handle) !== entry || entry.state.step !== 'created') return
    this.host.logger.error('container-lost', { handle, why: 'its shim died' })
    try {
      const kept = this.host.depot.read(handle)
      if (kept?.state.step !== 'created' || kept.state.slot !== entry.state.slot) return this.#letGo(entry)
      await this.#removals.remove(entry, 'lost')
    } catch (error) {
      this.host.logger.error('container-not-removed', { handle, why: messageOf(error) })
    }
  }
  /** Another backend over the same home destroys it. */
  #letGo(entry: Entry): void {
    this.#entries.delete(entry.handle)
    this.host.slots.free(entry.state.slot)
    this.host.addresses?.free(entry.state.address)
    this.host.events.append({ kind: 'destroyed', handle: entry.handle, reason: 'lost' })
  }
  /** Takes back what there is of a container whose making failed. What does not go now stays listed until it does. */
  async #undo(entry: Entry): Promise<void> {
    this.#entries.set(entry.handle, entry)
    try {
      await this.#removals.remove(entry, 'undone')
    } catch (error) {
      this.host.logger.error('container-undo-failed', { handle: entry.handle, why: messageOf(error) })
    }
  }
  #onRemoved(entry: Entry, reason: RemovalReason): void {
    this.#entries.delete(entry.handle)
    this.#watch.forget(entry.handle)
    if (reason !== 'undone') this.host.events.append({ kind: 'destroyed', handle: entry.handle, reason })
  }
  /** Cgroups beside the containers': those of sidecars with limits of their own. */
  #ownGroups(handles: readonly string[]): string[] {
    return handles.flatMap((handle) => {
      const entry = this.#entries.get(handle)
      return entry === undefined ? [] : groupsOf(entry).slice(1)
    })
  }
  /** The container of a sidecar, by the id of its process. */
  #holderOf(processId: string): Entry | undefined {
    return [...this.#entries.values()].find((entry) => entry.peas.has(processId))
  }
  #refuseWithoutFreezer(handles: readonly string[]): void {
    if (!this.host.cgroups.hasFreezer) throw new NotSupportedError('freezing containers')
    for (const handle of handles) if (!this.#entries.has(handle)) throw new ContainerNotFoundError(handle)
  }
  #refuseTaken(handle: string): void {
    if (this.#entries.has(handle) || this.#creating.has(handle)) throw new AlreadyInUseError(`Handle '${handle}'`)
  }
  #container(entry: Entry): LinuxContainer {
    return new LinuxContainer(
      this.host,
      entry,
      this.#watch,
      () => this.#entries.get(entry.handle) === entry && entry.state.step === 'created',
    )
  }
  #takeRange(text: string): void {
    const network = parseNetwork(text)
    if (network === null || network.prefix > 29) throw new RangeError(`not a usable IPv4 range: ${text}`)
    if (this.host.addresses === undefined) this.host.addresses = new AddressAllocator(network)
    else this.host.addresses.network = network
  }
  async #applyNetwork(): Promise<void> {
    const containers = [...this.#entries.values()]
      .filter(({ state }) => state.step === 'created') // one on its way out has no network any more
      .map((entry) => networkOf(this.host, entry))
    await this.host.networker.apply(containers)
  }
  async #bulk<T>(handles: readonly string[], call: (handle: string) => Promise<T>): Promise<Map<string, ResultOf<T>>> {
    const results = new Map<string, ResultOf<T>>()
    for (let at = 0; at < handles.length; at += BULK_SLICE) {
      await Promise.all(
        handles.slice(at, at + BULK_SLICE).map(async (handle) => {
          try {
            results.set(handle, { value: await call(handle) })
          } catch (error) {
            results.set(handle, { error: error as Error })
          }
        }),
      )
    }
    return results
  }
}
