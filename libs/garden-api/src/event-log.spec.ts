import { describe, expect, it } from 'vitest'
import { EventLog } from './event-log.js'
import { EventsGoneError } from './errors.js'
import type { ContainerEvent, EventPosition } from './types.js'

const logOf = (kept?: number): EventLog =>
  new EventLog({ bootId: 'b1', now: () => 5, ...(kept !== undefined && { kept }) })

async function take(log: EventLog, after: EventPosition, count: number): Promise<ContainerEvent[]> {
  const stop = new AbortController()
  const events: ContainerEvent[] = []
  for await (const event of log.after(after, stop.signal)) {
    events.push(event)
    if (events.length === count) stop.abort()
  }
  return events
}

describe('the events of a backend', () => {
  it('come in order, numbered from 1, with the time', async () => {
    const log = logOf()
    const start = log.position
    log.append({ kind: 'created', handle: 'a' })
    log.append({ kind: 'destroyed', handle: 'a', reason: 'asked' })
    expect(await take(log, start, 2)).toEqual([
      { kind: 'created', handle: 'a', version: 1, atMs: 5 },
      { kind: 'destroyed', handle: 'a', reason: 'asked', version: 2, atMs: 5 },
    ])
    expect(log.position).toEqual({ bootId: 'b1', version: 2 })
  })
  it('wake whoever waits for the next', async () => {
    const log = logOf()
    const taken = take(log, log.position, 1)
    await Promise.resolve()
    log.append({ kind: 'stopped', handle: 'a' })
    expect((await taken)[0]?.version).toBe(1)
  })
  it('end when the reader gives up', async () => {
    const stop = new AbortController()
    const reading = (async () => {
      for await (const event of logOf().after({ bootId: 'b1', version: 0 }, stop.signal)) return event
      return null
    })()
    stop.abort()
    expect(await reading).toBeNull()
  })
  it.each([
    ['of another boot', { bootId: 'b0', version: 3 }],
    ['no longer kept', { bootId: 'b1', version: 0 }],
    ['that never were', { bootId: 'b1', version: 9 }],
  ])('after a position %s are gone, which is said', async (_what, position) => {
    const log = logOf(2)
    for (const handle of ['a', 'b', 'c']) log.append({ kind: 'created', handle })
    await expect(take(log, position, 1)).rejects.toThrow(EventsGoneError)
  })
  it('tell a reader that fell behind the ring', async () => {
    const log = logOf(2)
    log.append({ kind: 'created', handle: 'a' })
    const reader = log.after({ bootId: 'b1', version: 0 }, new AbortController().signal)[Symbol.asyncIterator]()
    await reader.next()
    for (const handle of ['b', 'c', 'd', 'e']) log.append({ kind: 'created', handle })
    await expect(reader.next()).rejects.toThrow(EventsGoneError)
  })
})
