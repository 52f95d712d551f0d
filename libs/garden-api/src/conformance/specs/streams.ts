import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect } from 'vitest'
import { ProcessNotFoundError } from '../../errors.js'
import { commands, sh } from '../commands.js'
import { runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

/** Standard streams, attached readers and kept output. */
export function describeStreams(suite: Suite): void {
  describe('the streams of a process', () => {
    suite.api('keeps standard output and standard error apart', async () => {
      await suite.withContainer(async (container) => {
        expect((await runToEnd(container, commands.echo('to you'))).stdout.toString()).toBe('to you\n')
        const both = await runToEnd(container, commands.teeToStderr(), Readable.from(['oh no']))
        expect([both.stdout.toString(), both.stderr]).toEqual(['oh no', 'oh no'])
      })
    })

    suite.api('passes standard input through unchanged, whatever the bytes', async () => {
      const bytes = randomBytes(1_500_000)
      await suite.withContainer(async (container) => {
        const { exit, stdout } = await runToEnd(
          container,
          commands.cat(),
          Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]),
        )
        expect(exit.exitCode).toBe(0)
        expect(stdout.equals(bytes)).toBe(true)
      })
    })

    suite.api('keeps what nobody read, with absolute offsets', async () => {
      await suite.withContainer(async (container) => {
        await (await container.run({ ...commands.echo('kept for later'), id: 'echo' })).wait()
        const whole = await container.readLog('echo', 'stdout')
        expect(whole).toMatchObject({ stream: 'stdout', offset: 0, droppedBytes: 0 })
        expect(whole.data.toString()).toBe('kept for later\n')
        const rest = await container.readLog('echo', 'stdout', 5)
        expect([rest.offset, rest.data.toString()]).toEqual([5, 'for later\n'])
        expect((await container.readLog('echo', 'stdout', 15)).data.length).toBe(0)
        expect((await container.readLog('echo', 'stderr')).data.length).toBe(0)
        await expect(container.readLog('nosuch', 'stdout')).rejects.toThrow(ProcessNotFoundError)
      })
    })

    suite.kernel(
      'loses nothing of a process that writes much faster than it is read, and counts what its log drops',
      async () => {
        await suite.withContainer(async (container) => {
          const bytes = 16 * 1024 * 1024
          const { exit, stdout } = await runToEnd(container, {
            ...sh(`head -c ${bytes} /dev/zero`),
            id: 'flood',
          })
          expect([exit.exitCode, stdout.length]).toEqual([0, bytes])
          const log = await container.readLog('flood', 'stdout')
          expect(log.offset + log.data.length).toBe(bytes)
          expect(log.droppedBytes).toBe(log.offset)
          expect(log.data.length).toBeLessThan(4 * 1024 * 1024)
        })
      },
    )
  })
}
