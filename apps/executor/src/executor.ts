import { mkdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Clock, Logger } from '@croft/kit'
import type { Backend } from '@croft/garden-api'
import { checkBackend } from './admit/backend-check.js'
import type { ExecutorConfig } from './config.js'
import { ExecutorCore } from './converge/executor-core.js'
import { Turns } from './converge/turns.js'
import { Addresses } from './instance/addresses.js'
import { check } from './instance/health.js'
import { InstanceRecords } from './instance/instance-record.js'
import { parseListeners, type Listener } from './instance/listeners.js'
import { LogStore } from './instance/log-store.js'
import type { InstancePorts } from './instance/ports.js'
import { keepMeasuring } from './measure.js'
import { takenNetworks } from './networks.js'
import { Streams } from './server/streams.js'
import type { ControllerClient } from './sync/controller-client.js'
import { StatusReporter } from './sync/report-status.js'
import { watchDesired } from './sync/watch-desired.js'

/** What an executor is made of besides its configuration; `main.ts` chooses, tests choose otherwise. */
export interface ExecutorPorts {
  /** Recovers in `run`. */
  backend: Backend & { setNetwork?: (network: string) => Promise<void> }
  controller: ControllerClient
  clock: Clock
  random: () => number
  logger: Logger
  bootId: string
  ensureImage: (appId: string, digest: string, signal: AbortSignal) => Promise<void>
  runBuild: InstancePorts['runBuild']
  /** An image for the probe container; null skips the probe. */
  probeImage: string | null
}

export interface Executor {
  /** Recovers, joins and converges until `stop`. */
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
      stopped = live(config, ports, stopping.signal)
      return stopped
    },
    async stop() {
      stopping.abort(new Error('the executor ends'))
      await stopped
    },
  }
}

async function live(config: ExecutorConfig, ports: ExecutorPorts, signal: AbortSignal): Promise<void> {
  const { backend, clock, logger, controller } = ports
  const addresses = await openAddresses(config, clock)
  // an executor that has joined before needs no controller to take up its instances
  if (addresses.network !== '') await backend.setNetwork?.(addresses.network)
  await backend.recover()

  const records = new InstanceRecords(join(config.nodeHome, 'instances'))
  const logs = new LogStore(join(config.nodeHome, 'logs'))
  const turns = new Turns(availableParallelism())
  let applied: { epoch: string | null; revision: number } = { epoch: null, revision: 0 }
  let nodeId: string | undefined
  const reporter = new StatusReporter({
    bootId: ports.bootId,
    statuses: () => core.statuses(),
    capacity: async () => {
      const capacity = await backend.capacity()
      return {
        memoryBytes: capacity.memoryBytes,
        diskBytes: capacity.diskBytes,
        cpuMillis: availableParallelism() * 1_000,
        maxInstances: capacity.maxContainers,
      }
    },
    applied: () => applied,
    send: async (report, abort) => await controller.report(nodeId ?? '', report, abort),
    clock,
    logger,
  })
  const instancePorts: InstancePorts = {
    backend,
    records,
    logs,
    clock,
    random: ports.random,
    logger,
    timeScale: config.timeScale,
    ensureImage: ports.ensureImage,
    addressOf: async (id) => await addresses.of(id),
    turnAtCreating: async (task) => await turns.take(task),
    check,
    listenersOf,
    runBuild: ports.runBuild,
    onChange: () => reporter.notify(),
  }
  const core = new ExecutorCore({
    ports: instancePorts,
    records,
    addresses,
    clock,
    logger,
    timeScale: config.timeScale,
  })
  const streams = new Streams(controller.socketPath, logs, logger)

  if (addresses.network !== '') await core.resume()
  const tasks: Promise<unknown>[] = [
    core.keepPlanning(signal),
    keepMeasuring(backend, () => core.instances(), clock, logger, signal),
  ]
  const following = watchDesired(
    {
      client: controller,
      nodeName: config.nodeName,
      bootId: ports.bootId,
      takenNetworks,
      onJoined: async (joined) => {
        const isFirst = addresses.network === ''
        if (joined.network !== addresses.network) {
          await backend.setNetwork?.(joined.network)
          await addresses.setNetwork(joined.network)
        }
        if (isFirst) await core.resume()
        if (ports.probeImage !== null) await checkBackend(backend, ports.probeImage, logger)
        nodeId = joined.nodeId
        logger.info('joined', { node: joined.nodeId, network: joined.network })
        tasks.push(reporter.run(signal))
      },
      apply: async (set) => {
        streams.apply(set.streams)
        await core.apply(set)
        applied = { epoch: set.epoch, revision: set.revision }
        reporter.notify()
      },
      clock,
      random: ports.random,
      logger,
    },
    signal,
  )
  await following
  await Promise.all(tasks)
  streams.close()
  await core.detach()
  await backend.close()
  await controller.close()
}

async function openAddresses(config: ExecutorConfig, clock: Clock): Promise<Addresses> {
  await mkdir(config.nodeHome, { recursive: true, mode: 0o700 })
  return await Addresses.open(join(config.nodeHome, 'addresses.json'), clock, config.timeScale)
}

/** What the network namespace of a process listens on. */
async function listenersOf(pid: number): Promise<Listener[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  )
  return tables.flatMap(parseListeners)
}
