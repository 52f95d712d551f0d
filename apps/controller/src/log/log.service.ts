import { Inject, Injectable } from '@nestjs/common'
import { CroftError, type NodeId } from '@croft/kit'
import type { LogLine } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import type { App } from '../app/app.entity.js'
import { DATA_SOURCE } from '../tokens.js'
import { LogStreams, type LogRequest, type NodeLog } from './log-streams.js'

/** No node that keeps logs of the app answers. */
export class LogsUnavailable extends CroftError {
  constructor(app: string) {
    super({
      code: 'logs-unavailable',
      status: 503,
      title: `the logs of ${app} cannot be read now`,
      detail: 'the node that keeps them does not answer',
      suggestion: 'try again in a moment; croft status says how the executor is',
    })
  }
}

/** Reads logs from the nodes that keep them; nothing is stored here. */
@Injectable()
export class LogService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(LogStreams) private readonly streams: LogStreams,
  ) {}

  /**
   * Opens the log of an app: first the newest kept lines, then, when following, what comes. The caller closes it.
   * @throws LogsUnavailable when no node dialed back
   */
  async open(
    app: App,
    request: Omit<LogRequest, 'appId'>,
  ): Promise<{ lines: AsyncIterable<LogLine>; close(): Promise<void> }> {
    const nodes = await this.dataSource.query<{ id: NodeId }[]>(
      `SELECT DISTINCT node_id AS id FROM instance WHERE app_id = $1 AND kind = 'service' AND node_id IS NOT NULL`,
      [app.id],
    )
    const opening = await Promise.all(nodes.map((node) => this.streams.open(node.id, { appId: app.id, ...request })))
    const close = async (): Promise<void> => {
      await Promise.all(opening.map((log) => log.close()))
    }
    const opened = await Promise.all(opening.map((log) => log.opened))
    const logs = opening.filter((_, index) => opened[index])
    if (nodes.length > 0 && logs.length === 0) {
      await close()
      throw new LogsUnavailable(app.name)
    }
    return { lines: request.isFollowing ? together(logs) : newest(logs, request.lines), close }
  }
}

/** The newest lines of all nodes by time. */
async function* newest(logs: readonly NodeLog[], count: number): AsyncGenerator<LogLine> {
  const all = await Promise.all(logs.map(collect))
  const sorted =
    logs.length === 1 ? all.flat() : all.flat().toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
  yield* count === 0 ? [] : sorted.slice(-count)
}

async function collect(log: NodeLog): Promise<LogLine[]> {
  const lines: LogLine[] = []
  for await (const line of log) lines.push(line)
  return lines
}

/** Lines of all nodes as they come, until the last node ends. */
async function* together(logs: readonly NodeLog[]): AsyncGenerator<LogLine> {
  const iterators = new Map(logs.map((log) => [log[Symbol.asyncIterator](), null as Promise<Next> | null]))
  while (iterators.size > 0) {
    for (const [iterator, pending] of iterators) {
      if (pending === null)
        iterators.set(
          iterator,
          iterator.next().then((result) => ({ iterator, result })),
        )
    }
    const { iterator, result } = await Promise.race([...iterators.values()].flatMap((pending) => pending ?? []))
    if (result.done === true) iterators.delete(iterator)
    else {
      iterators.set(iterator, null)
      yield result.value
    }
  }
}

interface Next {
  iterator: AsyncIterator<LogLine>
  result: IteratorResult<LogLine>
}
