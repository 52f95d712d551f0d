import { describe, expect } from 'vitest'
import { commands, sh } from '../commands.js'
import { runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

/** What containers and processes may use, and how much they did. */
export function describeLimits(suite: Suite): void {
  describe('limits', () => {
    suite.kernel('sets resource limits', async () => {
      await suite.withContainer(async (container) => {
        const { stdout } = await runToEnd(container, {
          ...sh('ulimit -n'),
          rlimits: { nofile: 123 },
        })
        expect(stdout.toString()).toBe('123\n')
      })
    })

    suite.kernel('says when the memory limit killed a process', async () => {
      await suite.withContainer(
        async (container) => {
          const hog = { ...sh('x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done') }
          expect((await runToEnd(container, hog)).exit).toMatchObject({ exitCode: 137, isOutOfMemory: true })
          expect((await container.info()).events).toContain('Out of memory')
          expect((await runToEnd(container, commands.exit(0))).exit).toMatchObject({
            exitCode: 0,
            isOutOfMemory: false,
          })
        },
        { limits: { memory: { limitBytes: 48 * 1024 * 1024 } } },
      )
    })

    suite.kernel('holds a process limit, and the disk limit of what is written', async () => {
      await suite.withContainer(
        async (container) => {
          const many = { ...sh('for i in $(seq 60); do sleep 30 & done; wait'), id: 'many' }
          const { exit, stderr } = await runToEnd(container, many)
          expect(exit.exitCode).not.toBe(0)
          expect(stderr).toMatch(/fork/)
          await container.stop({ kill: true })
          const fill = await runToEnd(container, {
            ...sh('head -c 40000000 /dev/zero > /tmp/fill'),
          })
          expect(fill.exit.exitCode).not.toBe(0)
          expect((await container.metrics()).disk.totalBytes).toBeLessThan(21 * 1024 * 1024)
        },
        { limits: { pids: { max: 32 }, disk: { byteHard: 20 * 1024 * 1024 } } },
      )
    })
  })
}
