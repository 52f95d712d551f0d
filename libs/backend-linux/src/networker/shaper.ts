import type { Limits } from '@croft/garden-api'

/** Numbers of a token bucket for tc. Pure. */

export type Bandwidth = NonNullable<Limits['bandwidth']>

/** A frame of the pair; a smaller bucket would never fill enough to let one through. */
const MIN_BURST_BYTES = 1600
/** What waits at most, beyond the bucket: this long at the rate, and some frames at least. More is dropped, as in any queue. */
const QUEUE_SECONDS = 0.2
const MIN_QUEUE_BYTES = 32 * 1024
/** The kernel counts a bucket in time at its rate, with 32 bits. */
const MAX_BURST_SECONDS = 240
const MAX_BYTES = 2 ** 32 - 1
const MIN_RATE_BYTES_PER_SECOND = 100

/** What is wrong with a bandwidth; null when nothing is. A rate of 0 is no limit. */
export function bandwidthProblem(bandwidth: Bandwidth): string | null {
  const { rateBytesPerSecond: rate, burstBytes: burst } = bandwidth
  if (![rate, burst].every((value) => Number.isSafeInteger(value) && value >= 0))
    return 'a bandwidth is not a whole number of at least 0'
  if (rate === 0) return null
  if (rate < MIN_RATE_BYTES_PER_SECOND) return `a bandwidth of less than ${MIN_RATE_BYTES_PER_SECOND} bytes a second`
  if (burst > Math.min(rate * MAX_BURST_SECONDS, MAX_BYTES / 2))
    return `a burst of more than ${MAX_BURST_SECONDS} seconds of its bandwidth, or of more than 2 GiB`
  return null
}

/** The token bucket as tc wants it. */
export function shaperArgs(bandwidth: Bandwidth): string[] {
  const burst = Math.max(bandwidth.burstBytes, MIN_BURST_BYTES)
  const queue = Math.max(Math.floor(bandwidth.rateBytesPerSecond * QUEUE_SECONDS), MIN_QUEUE_BYTES)
  const limit = Math.min(burst + queue, MAX_BYTES)
  return ['tbf', 'rate', `${bandwidth.rateBytesPerSecond}bps`, 'burst', String(burst), 'limit', String(limit)]
}
