import { waitFor } from '@croft/kit'
import { describe, expect } from 'vitest'
import { ContainerNotFoundError, ContainerPausedError } from '../../errors.js'
import { commands, sh, SIGTERM } from '../commands.js'
import { filesOf, runToEnd, tarOf, waitForLog } from '../streams.js'
import type { Suite } from '../suite.js'

const needs = ['hasFreezer'] as const
/** A kernel that cannot freeze who waits for its own child to start a program is met by one round in seventy. */
const ROUNDS = 100

/** Containers that stand still, one or a group. */
export function describeFreezer(suite: Suite): void {
  describe('freezing', () => {
    suite.api(
      'refuses to run in, stop or stream into a frozen container, and says it is paused',
      async () => {
        await suite.withContainer(async (container) => {
          await suite.backend.pause([container.handle])
          await expect(container.run(commands.exit(0))).rejects.toThrow(ContainerPausedError)
          await expect(container.stop()).rejects.toThrow(`container ${container.handle} is paused`)
          const files = { user: suite.user, path: '/tmp/in' }
          await expect(container.streamIn({ ...files, tar: tarOf({ a: 'b' }) })).rejects.toThrow(ContainerPausedError)
          await expect(container.streamOut(files)).rejects.toThrow(ContainerPausedError)
          await suite.backend.resume([container.handle])
          expect((await runToEnd(container, commands.exit(3))).exit.exitCode).toBe(3)
          await container.streamIn({ ...files, tar: tarOf({ a: 'b' }) })
          expect([...(await filesOf(await container.streamOut({ ...files, path: '/tmp/in/' }))).keys()]).toEqual(['a'])
        })
      },
      { needs },
    )

    suite.api(
      'still tells of a frozen container, and destroys it',
      async () => {
        const { handle } = await suite.backend.create(suite.base)
        const container = await suite.backend.lookup(handle)
        await container.run({ ...commands.forever(), id: 'busy' })
        await suite.backend.pause([handle])
        expect((await container.info()).processIds).toEqual(['busy'])
        expect((await container.metrics()).pids.current).toBeGreaterThan(0)
        expect((await container.processes()).map((process) => process.state)).toEqual(['running'])
        await suite.backend.destroy(handle)
        await expect(suite.backend.lookup(handle)).rejects.toThrow(ContainerNotFoundError)
      },
      { needs },
    )

    suite.api(
      'freezes all of a group or none, and thaws what was never frozen without complaint',
      async () => {
        await suite.withContainer(async (one) => {
          await suite.withContainer(async (two) => {
            await expect(suite.backend.pause([one.handle, 'nosuch', two.handle])).rejects.toThrow(
              ContainerNotFoundError,
            )
            await suite.backend.pause([one.handle, two.handle, one.handle])
            for (const each of [one, two])
              await expect(each.run(commands.exit(0))).rejects.toThrow(ContainerPausedError)
            await expect(suite.backend.resume([one.handle, 'nosuch'])).rejects.toThrow(ContainerNotFoundError)
            await expect(one.run(commands.exit(0))).rejects.toThrow(ContainerPausedError)
            await suite.backend.resume([one.handle])
            await suite.backend.resume([one.handle, two.handle])
            for (const each of [one, two]) expect((await runToEnd(each, commands.exit(0))).exit.exitCode).toBe(0)
          })
        })
      },
      { needs },
    )

    suite.api(
      'remembers that a container is frozen when the backend dies',
      async () => {
        const { handle } = await suite.backend.create(suite.base)
        await suite.backend.pause([handle])
        const second = await suite.underTest.reopen()
        await second.recover()
        const same = await second.lookup(handle)
        await expect(same.run(commands.exit(0))).rejects.toThrow(ContainerPausedError)
        await second.resume([handle])
        expect((await runToEnd(same, commands.exit(0))).exit.exitCode).toBe(0)
        await second.destroy(handle)
        await second.close()
        await suite.backend.destroy(handle, { ifExists: true })
      },
      { needs },
    )

    suite.kernel(
      'freezes a container that starts programs all the time, again and again',
      async () => {
        await suite.withContainer(async (container) => {
          await container.run({ ...sh('while true; do /bin/sleep 0; done'), id: 'busy' })
          for (let round = 0; round < ROUNDS; round += 1) {
            await suite.backend.pause([container.handle])
            await suite.backend.resume([container.handle])
          }
          expect((await container.processes()).map(({ state }) => state)).toEqual(['running'])
        })
      },
      { needs },
    )

    suite.api(
      'tells of each freeze and thaw once',
      async () => {
        await suite.withContainer(async (container) => {
          const stop = new AbortController()
          const kinds: string[] = []
          const events = suite.backend.events(stop.signal, await suite.backend.eventPosition())
          const reading = (async () => {
            for await (const event of events) {
              if (event.handle === container.handle) kinds.push(event.kind)
              if (kinds.length === 2) return
            }
          })()
          await suite.backend.pause([container.handle])
          await suite.backend.pause([container.handle])
          await suite.backend.resume([container.handle])
          await reading
          stop.abort()
          expect(kinds).toEqual(['paused', 'resumed'])
        })
      },
      { needs },
    )

    suite.kernel(
      'lets nothing run while frozen, and delivers afterwards what was signalled meanwhile',
      async () => {
        await suite.withContainer(async (container) => {
          const ticker = await container.run({ ...sh('while :; do echo tick; sleep 0.01; done'), id: 'ticker' })
          const trap = await container.run({ ...commands.trap(7), id: 'trap' })
          await waitForLog(container, 'ticker', 'tick')
          await waitForLog(container, 'trap', 'ready')
          const usedNs = async (): Promise<number> => (await container.metrics()).cpu.usageNs
          await suite.backend.pause([container.handle])
          const before = await usedNs()
          await trap.signal(SIGTERM)
          await expect(container.run(commands.exit(0))).rejects.toThrow(ContainerPausedError)
          expect((await usedNs()) - before).toBeLessThan(5_000_000)
          expect((await container.processes()).map((process) => process.state)).toEqual(['running', 'running'])
          await suite.backend.resume([container.handle])
          expect((await trap.wait()).exitCode).toBe(7)
          await waitFor(async () => (await usedNs()) > before, { what: 'the ticker to run on', timeoutMs: 5000 })
          await ticker.signal(9)
          await ticker.wait()
        })
      },
      { needs },
    )
  })
}
