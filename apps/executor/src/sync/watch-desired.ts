import { backoffMs, messageOf, type Clock, type Logger } from '@croft/kit'
import { watch, type NodeJoined } from '@croft/protocol'
import { isNodeUnknown, type ControllerClient, type DesiredSet } from './controller-client.js'

/** The controller of a platform that starts is there within a second: it is asked often. */
const JOIN_RETRY = { baseMs: 50, maxMs: 500, jitter: 0.2 }
const WAIT_SECONDS = 20

export interface DesiredWatchOptions {
  client: Pick<ControllerClient, 'join' | 'desired'>
  nodeName: string
  bootId: string
  takenNetworks: () => Promise<string[]>
  /** Called once the controller has told who we are, before the first set; after a rejection the platform is joined again. */
  onJoined: (joined: NodeJoined, signal: AbortSignal) => Promise<void>
  apply: (set: DesiredSet) => Promise<void>
  clock: Clock
  random: () => number
  logger: Logger
}

/** Joins the platform, waiting for the controller as long as it takes, and follows the node's desired set. */
export class DesiredWatch {
  readonly #options: DesiredWatchOptions
  #forgotten = new AbortController()
  #last: { epoch: string; revision: number } | undefined

  constructor(options: DesiredWatchOptions) {
    this.#options = options
  }

  /** The controller does not know us any more (its database is another one): join again. */
  rejoin(): void {
    this.#forgotten.abort(new Error('the controller has forgotten this node'))
  }

  /** Follows until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        this.#forgotten = new AbortController()
        const joined = await this.#join(signal)
        await this.#options.onJoined(joined, signal)
        failures = 0
        await this.#follow(joined.nodeId, AbortSignal.any([signal, this.#forgotten.signal]))
        if (this.#forgotten.signal.aborted) logger.warn('forgotten-by-controller', { node: joined.nodeId })
      } catch (error) {
        if (signal.aborted) return
        if (failures === 0) logger.warn('not-joined', { why: messageOf(error) })
      }
      await clock.sleep(backoffMs(failures, JOIN_RETRY, random()), signal).catch(() => undefined)
    }
  }

  async #join(signal: AbortSignal): Promise<NodeJoined> {
    const { client, nodeName, bootId, takenNetworks } = this.#options
    return await client.join({ name: nodeName, bootId, takenNetworks: await takenNetworks() }, signal)
  }

  async #follow(nodeId: string, signal: AbortSignal): Promise<void> {
    const { client, apply, clock, random, logger } = this.#options
    await watch<DesiredSet>({
      ...(this.#last !== undefined && { initial: this.#last }),
      fetch: async (query, abort) => {
        try {
          return await client.desired(nodeId, query, abort)
        } catch (error) {
          if (isNodeUnknown(error)) this.rejoin()
          throw error
        }
      },
      apply: async (set) => {
        await apply(set)
        this.#last = { epoch: set.epoch, revision: set.revision }
      },
      waitSeconds: WAIT_SECONDS,
      clock,
      random,
      logger,
      signal,
    })
  }
}
