import { CroftError, type Clock, type Logger } from '@croft/kit'
import { routeSchema, snapshotSchema, watch, type RouterStatus } from '@croft/protocol'
import type { z } from 'zod'
import { callController } from './control-client.js'

export const tableSchema = snapshotSchema(routeSchema)
export type TableSnapshot = z.infer<typeof tableSchema>

/** What a long poll may take beyond its wait, ms. */
const POLL_SLACK_MS = 5_000
const REPORT_TIMEOUT_MS = 5_000

/** The controller answered, but not what the contract says. */
class UnexpectedAnswer extends CroftError {
  constructor(what: string, status: number, text: string) {
    super({
      code: 'unexpected-answer',
      status: 502,
      title: `${what} was answered ${status}`,
      detail: text.slice(0, 500),
    })
  }
}

export interface ControlLink {
  socketPath: string
  routerId: string
}

/** Follows the controller's route table until `signal` aborts; see `watch` for what is acknowledged when. */
export function watchTable(options: {
  link: ControlLink
  initial: { epoch: string; revision: number } | undefined
  apply: (snapshot: TableSnapshot) => Promise<void>
  clock: Clock
  random: () => number
  logger: Logger
  signal: AbortSignal
  waitSeconds?: number
}): Promise<void> {
  return watch<TableSnapshot>({
    ...(options.initial !== undefined && { initial: options.initial }),
    ...(options.waitSeconds !== undefined && { waitSeconds: options.waitSeconds }),
    apply: options.apply,
    clock: options.clock,
    random: options.random,
    logger: options.logger,
    signal: options.signal,
    fetch: async (query, signal) => {
      const words = new URLSearchParams({
        ...(query.epoch !== null && { epoch: query.epoch }),
        after: String(query.after),
        wait: String(query.waitSeconds),
        router: options.link.routerId,
      })
      const { status, text } = await callController({
        socketPath: options.link.socketPath,
        method: 'GET',
        path: `/v1/routes?${words.toString()}`,
        timeoutMs: query.waitSeconds * 1000 + POLL_SLACK_MS,
        signal,
      })
      if (status === 204) return null
      if (status !== 200) throw new UnexpectedAnswer('GET /v1/routes', status, text)
      return tableSchema.parse(JSON.parse(text))
    },
  })
}

/** Tells the controller what is applied and what still carries requests. @throws ControllerAway, UnexpectedAnswer. */
export async function reportStatus(link: ControlLink, report: RouterStatus, signal: AbortSignal): Promise<void> {
  const { status, text } = await callController({
    socketPath: link.socketPath,
    method: 'PUT',
    path: `/v1/routers/${link.routerId}/status`,
    body: report,
    timeoutMs: REPORT_TIMEOUT_MS,
    signal,
  })
  if (status < 200 || status > 299) throw new UnexpectedAnswer('PUT /v1/routers/…/status', status, text)
}
