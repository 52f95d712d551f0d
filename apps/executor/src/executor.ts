import { mkdir, readFile } from 'node:fs/promises'
import { availableParallelism, freemem } from 'node:os'
import { join } from 'node:path'
import { backoffMs, messageOf } from '@croft/kit'
import { AlreadyInUseError, type Backend } from '@croft/garden-api'
import type { NodeJoined, NodeReport } from '@croft/protocol'
import { checkBackend, PROBE_ID } from './admit/backend-check.js'
import type { ExecutorConfig } from './config.js'
import { ExecutorCore } from './converge/executor-core.js'
import { KeptFreshness } from './converge/kept-freshness.js'
import { Turns } from './converge/turns.js'
import { Addresses } from './instance/addresses.js'
import { check } from './instance/health.js'
import { InstanceRecords } from './instance/instance-record.js'
import { parseListeners, type Listener } from './instance/listeners.js'
import { LogStore } from './instance/log-store.js'
import { NextService, type ServiceSpare } from './instance/next-service.js'
import { INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY, type InstancePorts } from './instance/ports.js'
import { keepMeasuring } from './measure.js'
import { takenNetworks } from './networks.js'
import { Streams } from './server/streams.js'
import type { SpareContainer } from './spare/spare-container.js'
import type { ControllerClient, DesiredSet } from './sync/controller-client.js'
import { StatusReporter } from './sync/report-status.js'
import { DesiredWatch } from './sync/watch-desired.js'

const ADMISSION_RETRY = { baseMs: 250, maxMs: 5_000, jitter: 0.2 }
const SWEEP_LOGS_EVERY_MS = 24 * 60 * 60_000
const COLLECT_LAYERS_EVERY_MS = 60 * 60_000

/** What an executor is made of besides its configuration; `main.ts` chooses, tests choose otherwise. */
export interface ExecutorPorts extends Pick<InstancePorts, 'clock' | 'random' | 'logger' | 'ensureImage' | 'runBuild'> {
  /** Recovers in `run`; one whose containers have addresses of its host's is told the node's range. */
  backend: Backend & { setNetwork?: (network: string) => Promise<void> }
  controller: ControllerClient
  bootId: string
  /** An image for the probe container; null skips the probe. */
  probeImage: string | null
  /** Removes what none of these images needs; undefined: nothing is kept here. */
  collectLayers?: (images: readonly string[]) => Promise<number>
  /** What keeps a container in advance for a build; undefined: nothing does. */
  spare?: Spare
  /** What keeps one for the instance that is likely to follow a build; undefined: nothing does. */
  serviceSpare?: ServiceSpare
  /** How instances are asked; tests put their own here. */
  check?: typeof check
  /** What the network namespace of a host pid listens on; tests, whose pids are no processes, put their own here. */
  listenersOf?: InstancePorts['listenersOf']
}

type Spare = Pick<SpareContainer<never>, 'open' | 'ids' | 'image' | 'makeRoom' | 'close'>

export interface Executor {
  /** Recovers, joins and converges until `stop`. Rejects only when the backend cannot be taken up at all. */
  run(): Promise<void>
  /** Lets go of everything; containers run on. */
  stop(): Promise<void>
}

/** Keeps placed instances running, with or without the controller. */
export function createExecutor(config: ExecutorConfig, ports: ExecutorPorts): Executor {
  const stopping = new AbortController()
  let stopped: Promise<void> = Promise.resolve()
  return {
    run() {
      stopped = LiveExecutor.open(config, ports).then(async (live) => await live.run(stopping.signal))
      return stopped
    },
    async stop() {
      stopping.abort(new Error('the executor ends'))
      await stopped
    },
  }
}

class LiveExecutor {
  readonly #ports: ExecutorPorts
  /** The range of a foreign backend, which the controller has no say over. */
  readonly #ownNetwork: string | null
  readonly #addresses: Addresses
  readonly #logs: LogStore
  readonly #core: ExecutorCore
  readonly #reporter: StatusReporter
  readonly #streams: Streams
  readonly #watch: DesiredWatch
  #applied: { epoch: string | null; revision: number } = { epoch: null, revision: 0 }
  #nodeId = ''
  #isResumed = false
  #admission: Promise<void> | undefined

  static async open(config: ExecutorConfig, ports: ExecutorPorts): Promise<LiveExecutor> {
    const { clock, logger } = ports
    await mkdir(config.nodeHome, { recursive: true, mode: 0o700 })
    const addresses = await Addresses.open(join(config.nodeHome, 'addresses.json'), clock, config.timeScale)
    const path = join(config.nodeHome, 'freshness.json')
    const freshness = await KeptFreshness.open(path, clock, logger, config.timeScale)
    return new LiveExecutor(config, ports, addresses, freshness)
  }

  private constructor(config: ExecutorConfig, ports: ExecutorPorts, addresses: Addresses, freshness: KeptFreshness) {
    const { backend, controller, clock, logger, random } = ports
    const records = new InstanceRecords(join(config.nodeHome, 'instances'))
    const turns = new Turns(availableParallelism())
    const turnAtCreating: InstancePorts['turnAtCreating'] = async (task) => await turns.take(task)
    const { serviceSpare, ensureImage } = ports
    const next = serviceSpare && new NextService(serviceSpare, { backend, ensureImage, turnAtCreating, logger })
    this.#ports = ports
    this.#ownNetwork = config.garden?.network ?? null
    this.#addresses = addresses
    this.#logs = new LogStore(join(config.nodeHome, 'logs'))
    this.#watch = new DesiredWatch({
      client: controller,
      nodeName: config.nodeName,
      bootId: ports.bootId,
      takenNetworks: async () => await takenNetworks(config.k),
      onJoined: async (joined, signal) => await this.#onJoined(joined, signal),
      apply: async (set) => await this.#apply(set),
      clock,
      random,
      logger,
    })
    this.#reporter = new StatusReporter({
      bootId: ports.bootId,
      statuses: () => this.#core.statuses(),
      capacity: async () => await capacityOf(backend),
      applied: () => this.#applied,
      send: async (report, signal) => await controller.report(this.#nodeId, report, signal),
      onUnknown: () => this.#watch.rejoin(),
      clock,
      logger,
      timeScale: config.timeScale,
    })
    this.#core = new ExecutorCore({
      ports: {
        backend,
        records,
        logs: this.#logs,
        clock,
        random,
        logger,
        timeScale: config.timeScale,
        ensureImage,
        addressOf: async (id) => await addresses.of(id),
        turnAtCreating,
        onImage: (built) => next?.prepare(built, this.#core.items()),
        takeContainer: async (...asked) => (await next?.take(...asked)) ?? null,
        check: ports.check ?? check,
        listenersOf: ports.listenersOf ?? listenersOf,
        runBuild: ports.runBuild,
        onChange: () => this.#reporter.notify(),
      },
      records,
      addresses,
      freshness,
      spares: this.#spares,
      clock,
      logger,
      timeScale: config.timeScale,
    })
    this.#streams = new Streams({
      socketPath: controller.socketPath,
      logs: this.#logs,
      flush: async (appId) => await this.#core.flushLogs(appId),
      logger,
    })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { backend, clock, logger, controller } = this.#ports
    await backend.recover()
    // what ran in another place had addresses of that one
    if (this.#ownNetwork !== null && this.#addresses.network !== '') await this.#addresses.setNetwork(this.#ownNetwork)
    // an executor that has joined before needs no controller to take up its instances
    if (this.#addresses.network !== '' && (await this.#takeRange())) await this.#resume()
    await Promise.all([
      this.#watch.run(signal),
      this.#core.keepPlanning(signal),
      keepMeasuring(backend, () => this.#core.instances(), clock, logger, signal),
      this.#keepSweepingLogs(signal),
      this.#keepCollectingLayers(signal),
    ])
    await this.#admission
    this.#streams.close()
    await this.#core.detach()
    await Promise.all(this.#spares.map(async (spare) => await spare.close()))
    await backend.close()
    await controller.close()
  }

  get #spares(): Spare[] {
    const { spare, serviceSpare } = this.#ports
    return [spare, serviceSpare].filter((one) => one !== undefined)
  }

  /** Takes the range of before; false when another home of this host has it meanwhile, and the controller must give another. */
  async #takeRange(): Promise<boolean> {
    const { backend, logger } = this.#ports
    try {
      await backend.setNetwork?.(this.#addresses.network)
      return true
    } catch (error) {
      if (!(error instanceof AlreadyInUseError)) throw error
      logger.warn('range-lost', { network: this.#addresses.network, why: messageOf(error) })
      await this.#addresses.setNetwork('')
      return false
    }
  }

  async #onJoined(joined: NodeJoined, signal: AbortSignal): Promise<void> {
    const { backend, logger } = this.#ports
    const network = this.#ownNetwork ?? joined.network
    if (network !== this.#addresses.network) {
      await backend.setNetwork?.(network)
      await this.#addresses.setNetwork(network)
    }
    if (!this.#isResumed) await this.#resume()
    this.#nodeId = joined.nodeId
    logger.info('joined', { node: joined.nodeId, network })
    this.#admission ??= this.#admit(signal)
  }

  async #apply(set: DesiredSet): Promise<void> {
    this.#streams.apply(set.streams)
    await this.#core.apply(set)
    this.#applied = { epoch: set.epoch, revision: set.revision }
    this.#reporter.notify()
  }

  /** A node that reports is ready: it does not before its backend has shown that it can run a container. */
  async #admit(signal: AbortSignal): Promise<void> {
    const { probeImage, logger, clock, random } = this.#ports
    let isFit = probeImage === null
    for (let failures = 0; !isFit && !signal.aborted; failures += 1) {
      try {
        await this.#probe(probeImage ?? '')
        isFit = true
      } catch (error) {
        logger.error('backend-unfit', { failures, why: messageOf(error) })
        await clock.sleep(backoffMs(failures, ADMISSION_RETRY, random()), signal).catch(() => undefined)
      }
    }
    await this.#reporter.run(signal)
  }

  async #probe(image: string): Promise<void> {
    const { backend, logger } = this.#ports
    await checkBackend(backend, { image, network: await this.#addresses.of(PROBE_ID) }, logger)
  }

  async #resume(): Promise<void> {
    await this.#reclaimAddresses()
    await this.#core.resume()
    this.#isResumed = true
    for (const spare of this.#spares) {
      spare.open({
        addressOf: async (id) => await this.#addresses.of(id),
        moveAddress: async (from, to) => await this.#addresses.move(from, to),
        freeAddress: async (id) => await this.#addresses.free(id),
        isBusy: () => this.#core.isBusy(),
      })
    }
  }

  /** A book that is lost must not give the addresses of running containers to others. */
  async #reclaimAddresses(): Promise<void> {
    if (this.#addresses.holders().length > 0) return
    for (const container of await this.#ports.backend.containers({ [OWNER_PROPERTY]: OWNER })) {
      const { properties, containerIp } = await container.info()
      const id = properties[INSTANCE_PROPERTY]
      if (id !== undefined) await this.#addresses.reclaim(id, containerIp)
    }
  }

  /** Whatever an instance here runs or is built on stays, wanted or not. */
  async #keepCollectingLayers(signal: AbortSignal): Promise<void> {
    const { clock, logger, collectLayers } = this.#ports
    while (!signal.aborted) {
      await clock.sleep(COLLECT_LAYERS_EVERY_MS, signal).catch(() => undefined)
      if (signal.aborted || !this.#isResumed) continue
      try {
        const images = this.#core
          .instances()
          .map(({ item: { spec } }) => ('image' in spec ? spec.image : spec.previousImage))
        const inAdvance = this.#spares.map(({ image }) => image)
        const layers = await collectLayers?.([...images, ...inAdvance].filter((image) => image !== null))
        if (layers !== undefined && layers > 0) logger.info('layers-collected', { layers })
      } catch (error) {
        logger.warn('layers-not-collected', { why: messageOf(error) })
      }
    }
  }

  async #keepSweepingLogs(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#ports
    while (!signal.aborted) {
      try {
        const apps = await this.#logs.sweep(clock.now())
        if (apps.length > 0) logger.info('logs-forgotten', { apps })
      } catch (error) {
        logger.warn('logs-not-swept', { why: messageOf(error) })
      }
      await clock.sleep(SWEEP_LOGS_EVERY_MS, signal).catch(() => undefined)
    }
  }
}

async function capacityOf(backend: Backend): Promise<NodeReport['capacity']> {
  const { memoryBytes, diskBytes, maxContainers } = await backend.capacity()
  return {
    memoryBytes,
    availableMemoryBytes: freemem(), // MemAvailable of /proc/meminfo
    diskBytes,
    cpuMillis: availableParallelism() * 1_000,
    maxInstances: maxContainers,
  }
}

/** What the network namespace of a process listens on. */
async function listenersOf(pid: number): Promise<Listener[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map(async (name) => await readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  )
  return tables.flatMap(parseListeners)
}
