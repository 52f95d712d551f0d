import { InvalidSpecError } from '../../../errors.js'
import { toMoment } from '../../codec/process-info.js'
import type { Call } from '../call.js'
import { streamLines, type StreamItem } from '../line-stream.js'
import type { Route } from '../route.js'
import { metricsEntries } from './bulk.js'

const DEFAULT_INTERVAL_MS = 1_000
const MIN_INTERVAL_MS = 100
const MAX_INTERVAL_MS = 60 * 60_000

export const METRICS_STREAM_ROUTES: readonly Route[] = [
  {
    name: 'MetricsStream',
    method: 'GET',
    path: '/metrics/stream',
    feature: 'metrics-stream',
    handle: async (call) => {
      const intervalMs = intervalOf(call)
      return await streamLines(call, (signal) => measurements(call, intervalMs, signal))
    },
  },
]

/** One measurement of all asked containers each interval, counted from the end of the one before. */
async function* measurements(call: Call, intervalMs: number, signal: AbortSignal): AsyncIterable<StreamItem> {
  const { clock } = call.context
  const asked = call.query.get('handles')
  while (!signal.aborted) {
    const handles =
      asked === null
        ? (await call.backend.containers()).map(({ handle }) => handle)
        : asked.split(',').filter((handle) => handle !== '')
    const metrics = await metricsEntries(call, handles)
    yield { event: 'metrics', json: { at: toMoment(clock.now()), metrics } }
    await clock.sleep(intervalMs, signal).catch(() => undefined)
  }
}

/** @throws InvalidSpecError */
function intervalOf({ query }: Call): number {
  const text = query.get('interval_ms')
  const intervalMs = text === null ? DEFAULT_INTERVAL_MS : Number(text)
  if (Number.isInteger(intervalMs) && intervalMs >= MIN_INTERVAL_MS && intervalMs <= MAX_INTERVAL_MS) return intervalMs
  const why = `must be a whole number from ${MIN_INTERVAL_MS} to ${MAX_INTERVAL_MS}`
  throw new InvalidSpecError(`interval_ms ${why}`, { interval_ms: why })
}
