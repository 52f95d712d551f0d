import { createHash, randomUUID } from 'node:crypto'
import type { DesiredInstance, DesiredStream, InstanceStatus, NodeReport } from '@croft/protocol'
import { pause } from './pause.js'
import { call } from './socket-call.js'

/** What a scripted instance does. */
export type Behaviour =
  | { kind: 'ready' }
  | { kind: 'hang' }
  | { kind: 'crash'; reason?: InstanceStatus['reason']; message?: string; lastLines?: string[]; times?: number }

interface Desired {
  epoch: string
  revision: number
  complete: true
  items: DesiredInstance[]
  streams: DesiredStream[]
}

/** An executor that runs nothing: it reports for each instance what its script says. */
export class ScriptedNode {
  readonly items = new Map<string, DesiredInstance>()
  readonly statuses = new Map<string, InstanceStatus>()
  streams: DesiredStream[] = []
  /** Called as soon as an instance is stopped. */
  onStop: (item: DesiredInstance) => void = () => undefined
  /** Called for each stream somebody begins to wait for. */
  onStream: (stream: DesiredStream) => void = () => undefined
  /** By instance; default ready. */
  behave: (item: DesiredInstance) => Behaviour = () => ({ kind: 'ready' })
  memoryBytes = 16 * 1024 ** 3
  /** What it says is available of it now; undefined: nothing. */
  availableMemoryBytes: number | undefined
  nodeId = ''
  network = ''
  bootId: string = randomUUID()
  #applied = { epoch: null as string | null, revision: 0 }
  #sentHash: string | undefined
  #nextIp = 2
  readonly #stop = new AbortController()
  #loops: Promise<unknown>[] = []
  #wake: () => void = () => undefined

  constructor(
    readonly socketPath: string,
    readonly name = 'node-1',
  ) {}

  async join(takenNetworks: string[] = []): Promise<void> {
    const { status, body } = await call<{ nodeId: string; network: string }>(this.socketPath, 'POST', '/v1/nodes', {
      name: this.name,
      bootId: this.bootId,
      takenNetworks,
    })
    if (status !== 200 && status !== 201) throw new Error(`join answered ${status} ${JSON.stringify(body)}`)
    this.nodeId = body.nodeId
    this.network = body.network
  }

  async start(): Promise<void> {
    await this.join()
    await this.#report()
    this.#loops = [this.#watch(), this.#reports()]
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await Promise.allSettled(this.#loops)
  }

  /** Overwrites what is said of an instance. */
  say(id: string, changes: Partial<InstanceStatus>): void {
    const before = this.statuses.get(id)
    if (before === undefined) throw new Error(`nothing is known of ${id}`)
    this.statuses.set(id, { ...before, ...changes })
    this.#wake()
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const query = new URLSearchParams({
          after: String(this.#applied.revision),
          wait: '5',
          ...(this.#applied.epoch !== null && { epoch: this.#applied.epoch }),
        })
        const { status, body } = await call<Desired>(
          this.socketPath,
          'GET',
          `/v1/nodes/${this.nodeId}/desired?${query.toString()}`,
          undefined,
          undefined,
          signal,
        )
        if (status === 200) this.#apply(body)
        else if (status !== 204) await pause(50)
      } catch {
        await pause(50)
      }
    }
  }

  #apply(set: Desired): void {
    const wanted = new Map(set.items.map((item) => [item.id as string, item]))
    for (const [id, item] of this.items) {
      if (wanted.get(id)?.intent === 'run' || wanted.get(id)?.intent === 'drain') continue
      this.onStop(item)
      this.items.delete(id)
      this.statuses.delete(id)
    }
    for (const [id, item] of wanted) {
      if (item.intent === 'stop') continue
      if (!this.items.has(id)) this.#launch(item)
      this.items.set(id, item)
    }
    for (const stream of set.streams)
      if (!this.streams.some(({ streamId }) => streamId === stream.streamId)) this.onStream(stream)
    this.streams = set.streams
    this.#applied = { epoch: set.epoch, revision: set.revision }
    this.#wake()
  }

  #launch(item: DesiredInstance): void {
    const behaviour = this.behave(item)
    const address =
      item.spec.kind === 'service' && item.spec.port !== null ? `10.0.0.${this.#nextIp++}:${item.spec.port}` : null
    const status: InstanceStatus = {
      id: item.id,
      observed: 'starting',
      address,
      handle: `${item.id}-1`,
      restarts: 0,
      startedAt: new Date().toISOString(),
      nextStartAt: null,
      exit: null,
      reason: null,
      message: null,
      crashesBeforeReady: 0,
      lastLines: [],
      cpuMillis: 0,
      memoryBytes: 0,
      build: null,
    }
    this.statuses.set(item.id, status)
    if (behaviour.kind === 'ready') setTimeout(() => this.#change(item.id, { observed: 'ready' }), 5)
    if (behaviour.kind === 'crash') {
      const times = behaviour.times ?? 3
      for (let crash = 1; crash <= times; crash += 1) {
        setTimeout(
          () =>
            this.#change(item.id, {
              observed: crash === times ? 'backoff' : 'starting',
              restarts: crash,
              crashesBeforeReady: crash,
              reason: behaviour.reason ?? 'crashed',
              message: behaviour.message ?? 'it ended with exit code 1',
              lastLines: behaviour.lastLines ?? [],
            }),
          crash * 20,
        )
      }
    }
  }

  #change(id: string, changes: Partial<InstanceStatus>): void {
    if (this.statuses.has(id)) this.say(id, changes)
  }

  async #reports(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      await this.#report().catch(() => undefined)
      await Promise.race([woken, pause(250)])
    }
  }

  async #report(): Promise<void> {
    const statuses = [...this.statuses.values()]
    const statusHash = createHash('sha256').update(JSON.stringify(statuses)).digest('hex')
    const report: NodeReport = {
      bootId: this.bootId,
      epoch: this.#applied.epoch,
      appliedRevision: this.#applied.revision,
      capacity: {
        memoryBytes: this.memoryBytes,
        ...(this.availableMemoryBytes !== undefined && { availableMemoryBytes: this.availableMemoryBytes }),
        diskBytes: 1024 ** 4,
        cpuMillis: 2_000,
        maxInstances: 500,
      },
      statusHash,
      ...(statusHash !== this.#sentHash && { statuses }),
    }
    const { status, body } = await call(this.socketPath, 'PUT', `/v1/nodes/${this.nodeId}/status`, report)
    if (status === 204) this.#sentHash = statusHash
    else {
      this.#sentHash = undefined
      if (status !== 409) throw new Error(`report answered ${status} ${JSON.stringify(body)}`)
      await this.#report()
    }
  }
}
