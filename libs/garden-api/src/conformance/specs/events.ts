import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { EventsGoneError } from '../../errors.js'
import type { ContainerEvent } from '../../types.js'
import { commands } from '../commands.js'
import { runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

/** What happened to containers, in order, from a position on. */
export function describeEvents(suite: Suite): void {
  describe('events', () => {
    /** Events of a container from a position on, up to its end. */
    const eventsOf = async (handle: string, after: Awaited<ReturnType<Suite['backend']['eventPosition']>>) => {
      const found: ContainerEvent[] = []
      const stop = new AbortController()
      const timer = AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)])
      for await (const event of suite.backend.events(timer, after)) {
        if (event.handle === handle) found.push(event)
        if (event.handle === handle && event.kind === 'destroyed') break
      }
      return found
    }

    suite.api('tell the life of a container in order, with versions that grow', async () => {
      const handle = `events-${randomUUID()}`
      const position = await suite.backend.eventPosition()
      const container = await suite.backend.create({ ...suite.base, handle })
      await runToEnd(container, { ...commands.exit(3), id: 'one' })
      await suite.backend.destroy(handle)
      const events = await eventsOf(handle, position)
      expect(events.map((event) => event.kind)).toEqual(['created', 'process-started', 'process-exited', 'destroyed'])
      expect(events[2]).toMatchObject({ processId: 'one', exit: { exitCode: 3, signal: null } })
      expect(events[3]).toMatchObject({ reason: 'asked' })
      const versions = events.map((event) => event.version)
      expect(versions).toEqual(versions.toSorted((a, b) => a - b))
      expect(versions[0]).toBeGreaterThan(position.version)
    })

    suite.api('cannot be read from a position of another boot', async () => {
      const position = { bootId: randomUUID(), version: 1 }
      const read = async (): Promise<void> => {
        for await (const _event of suite.backend.events(AbortSignal.timeout(10_000), position)) return
      }
      await expect(read()).rejects.toThrow(EventsGoneError)
    })
  })
}
