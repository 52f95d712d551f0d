import { messageOf, type Clock, type Logger } from '@croft/kit'
import { watch, type NodeJoined } from '@croft/protocol'
import type { ControllerClient, DesiredSet } from './controller-client.js'

const JOIN_RETRY_MS = 250
const WAIT_SECONDS = 20

export interface WatchDesiredOptions {
  client: ControllerClient
  nodeName: string
  bootId: string
  takenNetworks: () => Promise<string[]>
  /** Called once the controller has told who we are, before the first set. */
  onJoined: (joined: NodeJoined) => Promise<void>
  apply: (set: DesiredSet) => Promise<void>
  clock: Clock
  random: () => number
  logger: Logger
}

/** Joins the platform, waiting for the controller as long as it takes, then follows the node's desired set until `signal` aborts. */
export async function watchDesired(options: WatchDesiredOptions, signal: AbortSignal): Promise<void> {
  const joined = await joinPlatform(options, signal)
  if (joined === undefined) return
  await options.onJoined(joined)
  await watch<DesiredSet>({
    fetch: async (query, abort) => await options.client.desired(joined.nodeId, query, abort),
    apply: options.apply,
    waitSeconds: WAIT_SECONDS,
    clock: options.clock,
    random: options.random,
    logger: options.logger,
    signal,
  })
}

async function joinPlatform(options: WatchDesiredOptions, signal: AbortSignal): Promise<NodeJoined | undefined> {
  let hasLogged = false
  while (!signal.aborted) {
    try {
      return await options.client.join(
        { name: options.nodeName, bootId: options.bootId, takenNetworks: await options.takenNetworks() },
        signal,
      )
    } catch (error) {
      if (!hasLogged) options.logger.info('waiting-for-controller', { why: messageOf(error) })
      hasLogged = true
      await options.clock.sleep(JOIN_RETRY_MS, signal).catch(() => undefined)
    }
  }
  return undefined
}
