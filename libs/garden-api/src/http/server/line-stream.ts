import { once } from 'node:events'
import { errorToWire } from '../codec/error-body.js'
import { ANSWERED } from './answer.js'
import type { Call } from './call.js'

/** Something is sent at least this often, so that either side notices when the other is gone. */
const HEARTBEAT_MS = 15_000
/** A stream that fails at once answers with its error: it is given this long. */
const FIRST_MS = 50

/** One piece of an endless answer. */
export interface StreamItem {
  /** Where one could go on from; the id of a server-sent event. */
  id?: string
  /** The name of a server-sent event. */
  event?: string
  json: object
}

/**
 * Answers with one JSON value a line as long as there are any, or as server-sent events to whoever accepts those. Nothing is
 * taken from the source while the client does not read. A failure on the way is the last line, `{"error":{…}}`.
 */
export async function streamLines(
  call: Call,
  source: (signal: AbortSignal) => AsyncIterable<StreamItem>,
): Promise<typeof ANSWERED> {
  const { res } = call
  const signal = AbortSignal.any([call.signal, call.context.closing])
  const isSse = (call.req.headers.accept ?? '').includes('text/event-stream')
  const write = async (text: string): Promise<void> => {
    if (!res.write(text)) await once(res, 'drain', { signal })
  }
  const items = source(signal)[Symbol.asyncIterator]()
  let next = items.next()
  await Promise.race([next, call.context.clock.sleep(FIRST_MS)])
  res.writeHead(200, {
    'content-type': isSse ? 'text/event-stream' : 'application/x-ndjson',
    'cache-control': 'no-store',
    connection: 'close', // nothing follows an endless answer
  })
  res.flushHeaders()
  const heart = setInterval(() => {
    if (!res.writableNeedDrain) res.write(isSse ? ':\n\n' : '\n')
  }, HEARTBEAT_MS)
  try {
    for (let { done, value } = await next; done !== true; { done, value } = await next) {
      await write(isSse ? eventText(value) : `${JSON.stringify(value.json)}\n`)
      next = items.next()
    }
  } catch (error) {
    if (!signal.aborted) {
      const json = { error: errorToWire(error).body }
      res.write(isSse ? eventText({ event: 'error', json }) : `${JSON.stringify(json)}\n`)
    }
  } finally {
    clearInterval(heart)
    res.end()
  }
  return ANSWERED
}

function eventText({ id, event, json }: StreamItem): string {
  const head = `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}`
  return `${head}data: ${JSON.stringify(json)}\n\n`
}
