import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeBackend, FakeStore, type FakeProgram } from '@croft/garden-api/fake'
import { silentLogger, systemClock, waitFor } from '@croft/kit'
import type { InstanceStatus, Observed } from '@croft/protocol'
import { createExecutor, type Executor, type ExecutorPorts } from '../executor.js'
import type { check } from '../instance/health.js'
import { SpareContainer } from '../spare/spare-container.js'
import { ControllerClient } from '../sync/controller-client.js'
import { FakeController } from './fake-controller.js'

const WAIT_MS = 5_000

/** A host with a fake backend, a controller, and an executor that can be ended, killed and started again. */
export class FakeNode {
  readonly store = new FakeStore()
  readonly controller: FakeController
  /** Divides long waits: seconds of back-off become milliseconds, the minute after a break of the desired set 600 ms. */
  timeScale = 100
  /** How checks turn out. */
  check: typeof check = async () => ({ isPassed: true })
  /** What `/cnb/process/web` does. */
  web: FakeProgram = async (context) => {
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }))
    return 0
  }
  runBuild: ExecutorPorts['runBuild'] = async () => {
    throw new Error('no build is expected')
  }
  ensureImage: ExecutorPorts['ensureImage'] = async () => undefined
  spare: ExecutorPorts['spare']
  /** Memory that may be used. */
  availableBytes = 2 ** 34
  /** How long a container made in advance for an instance is kept. */
  keptMs = 20_000
  backend = new FakeBackend({ store: this.store })
  #executor: Executor | undefined
  #stopped: Promise<void> | undefined

  private constructor(readonly folder: string) {
    this.controller = new FakeController(join(folder, 'node.sock'))
  }

  static async make(): Promise<FakeNode> {
    const node = new FakeNode(await mkdtemp(join(tmpdir(), 'exec-node-')))
    await node.controller.listen()
    return node
  }

  /** Starts an executor over what is there. */
  start(): void {
    this.backend = new FakeBackend({
      store: this.store,
      programs: { '/cnb/process/web': async (context) => await this.web(context), '/bin/true': async () => 0 },
    })
    const backend = this.backend
    this.#executor = createExecutor(
      {
        nodeName: 'local',
        homeId: '',
        k: 56,
        run: this.folder,
        nodeHome: join(this.folder, 'node'),
        cache: '/nonexistent',
        tools: '/nonexistent',
        shim: '/nonexistent',
        buildpacks: '/nonexistent',
        platformNode: '/nonexistent',
        platformNpm: '/nonexistent',
        egress: [],
        build: { npmrc: '', ca: '', proxyEnv: {} },
        garden: null,
        registry: null,
        timeScale: this.timeScale,
      },
      {
        backend,
        controller: new ControllerClient(this.controller.socketPath),
        clock: systemClock,
        random: () => 0.5,
        logger: silentLogger,
        bootId: 'boot-1',
        ensureImage: async (...args) => await this.ensureImage(...args),
        runBuild: async (...args) => await this.runBuild(...args),
        ...(this.spare !== undefined && { spare: this.spare }),
        serviceSpare: new SpareContainer({
          backend,
          clock: systemClock,
          logger: silentLogger,
          availableBytes: () => this.availableBytes,
          keptMs: this.keptMs,
          prefix: 'service-',
          made: 'at-once',
        }),
        probeImage: 'stack:debian-12',
        check: async (...args) => await this.check(...args),
        listenersOf: async () => [], // on the host, the pids of the fake may be those of anybody
      },
    )
    this.#stopped = this.#executor.run()
    this.#stopped.catch(() => undefined) // told by `stop`
  }

  /** An orderly stop of the executor; containers run on. */
  async stop(): Promise<void> {
    await this.#executor?.stop()
    this.#executor = undefined
  }

  async close(): Promise<void> {
    await this.stop()
    await this.controller.close()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Waits until the controller has heard this of an instance. */
  async observed(
    id: string,
    state: Observed,
    also: (status: InstanceStatus) => boolean = () => true,
  ): Promise<InstanceStatus> {
    return await waitFor(
      () => {
        const status = this.controller.status(id)
        return status?.observed === state && also(status) ? status : undefined
      },
      { what: `${id} to be ${state}`, timeoutMs: WAIT_MS, everyMs: 5 },
    )
  }

  /** The processes of an instance's containers: handle to the host pids that run. */
  running(id: string): { handle: string; pid: number }[] {
    return [...this.store.records.values()]
      .filter(({ handle }) => handle.startsWith(id))
      .flatMap(({ handle, processes }) =>
        [...processes.values()].filter(({ exit }) => exit === null).map(({ pid }) => ({ handle, pid })),
      )
  }
  /** Where the output of an app is kept; it must have said something. */
  logOf(appId: string): string {
    return join(this.folder, 'node/logs', appId, 'current.jsonl')
  }
  /** Ends the process of an instance, as a crash would. */
  crash(id: string): void {
    for (const { handle, processes } of this.store.records.values()) {
      if (handle.startsWith(id)) for (const process of processes.values()) if (process.exit === null) process.signal(9)
    }
  }
}
