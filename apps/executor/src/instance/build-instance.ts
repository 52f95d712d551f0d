import { messageOf } from '@croft/kit'
import type { BuildResult, DesiredInstance, InstanceStatus } from '@croft/protocol'
import { newRecord, type InstanceRecord } from './instance-record.js'
import { INSTANCE_PROPERTY, type BuildSurroundings, type InstancePorts, type NodeInstance } from './ports.js'

const INTERRUPTED: BuildResult = {
  outcome: 'failed',
  reason: 'interrupted',
  message: 'the build was interrupted: its executor was restarted',
  suggestion: 'push again',
}

/** One build: runs once, and its result is reported until the instance leaves the desired set. */
export class BuildInstance implements NodeInstance {
  readonly #ports: InstancePorts
  readonly #abort = new AbortController()
  #record: InstanceRecord
  #running: Promise<void> = Promise.resolve()
  #isDetached = false

  private constructor(record: InstanceRecord, ports: InstancePorts) {
    this.#record = record
    this.#ports = ports
  }

  /** A new build; starts at once. */
  static start(item: DesiredInstance, ports: InstancePorts): BuildInstance {
    const record = newRecord(item)
    const startedAt = new Date(ports.clock.now()).toISOString()
    const build = new BuildInstance(
      { ...record, n: 1, status: { ...record.status, handle: `${item.id}-1`, startedAt } },
      ports,
    )
    build.#running = build.#run()
    return build
  }

  /** A build of before: a finished one is reported on, another one was interrupted. */
  static resume(record: InstanceRecord, ports: InstancePorts): BuildInstance {
    const build = new BuildInstance(record, ports)
    if (record.status.build === null) build.#running = build.#interrupted()
    return build
  }

  get item(): DesiredInstance {
    return this.#record.item
  }
  get isStopping(): boolean {
    return this.#abort.signal.aborted
  }
  get handle(): string | null {
    return this.#record.status.build === null ? this.#record.status.handle : null
  }
  status(): InstanceStatus {
    return this.#record.status
  }
  settled(): Promise<void> {
    return Promise.resolve()
  }
  flushLogs(): Promise<void> {
    return Promise.resolve() // a build's output goes to the controller
  }
  async update(item: DesiredInstance): Promise<void> {
    this.#record = { ...this.#record, item }
    await this.#write()
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('canceled'))
    this.#record = { ...this.#record, item: { ...this.item, intent: 'stop' } }
    await this.#write()
    await this.#running
    await this.#destroyContainers()
    await this.#ports.records.remove(this.item.id)
    this.#ports.onChange()
  }

  /** A build does not outlive its executor: its orchestration does not. */
  async detach(): Promise<void> {
    this.#isDetached = true
    this.#abort.abort(new Error('the executor ends'))
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const written = this.#write()
    this.#record = { ...this.#record, status: { ...this.#record.status, observed: 'starting' } }
    this.#ports.onChange()
    let result: BuildResult
    try {
      const [address] = await Promise.all([this.#ports.addressOf(this.item.id), written])
      this.#abort.signal.throwIfAborted()
      const context: BuildSurroundings = {
        handle: `${this.item.id}-1`,
        address,
        onImage: (built) => this.#ports.onImage({ appId: this.item.appId, ...built }),
      }
      result = await this.#ports.runBuild(this.item, context, this.#abort.signal)
    } catch (error) {
      if (!this.isStopping) this.#ports.logger.error('build-failed-inside', { instance: this.item.id, error })
      result = {
        outcome: 'failed',
        reason: 'internal',
        message: `the build failed inside Croft: ${messageOf(error)}`,
        suggestion: 'push again; if it stays, tell whoever runs this platform',
      }
    }
    if (!this.#isDetached) await this.#finish(result)
  }

  /** What it left goes before it is said that it is over. */
  async #interrupted(): Promise<void> {
    await this.#destroyContainers().catch((error: unknown) => {
      this.#ports.logger.warn('build-container-not-destroyed', { instance: this.item.id, why: messageOf(error) })
    })
    await this.#finish(INTERRUPTED)
  }

  /** The one that was made for it, and one made in advance that became its. */
  async #destroyContainers(): Promise<void> {
    const { backend } = this.#ports
    await backend.destroy(`${this.item.id}-1`, { ifExists: true })
    for (const { handle } of await backend.containers({ [INSTANCE_PROPERTY]: this.item.id })) {
      await backend.destroy(handle, { ifExists: true })
    }
  }

  /**
   * The result is told and written side by side: a controller that has heard it takes no other. Never rejects: a container that
   * cannot be destroyed now is when the instance is stopped.
   */
  async #finish(build: BuildResult): Promise<void> {
    this.#record = { ...this.#record, status: { ...this.#record.status, observed: 'exited', build } }
    this.#ports.onChange()
    if (!this.isStopping) await this.#write()
  }

  async #write(): Promise<void> {
    try {
      await this.#ports.records.write(this.#record)
    } catch (error) {
      this.#ports.logger.error('record-not-written', { instance: this.item.id, why: messageOf(error) })
    }
  }
}
