import { randomBytes } from 'node:crypto'
import { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { ProcessNotFoundError } from '../../errors.js'
import { commands, sh } from '../commands.js'
import { outputOf, runToEnd, Sink, waitForLog } from '../streams.js'
import { rounds, type Suite } from '../suite.js'

/** Standard streams, attached readers and kept output. */
export function describeStreams(suite: Suite): void {
  describe('the streams of a process', () => {
    suite.api('L6: keeps standard output and standard error apart', async () => {
      await suite.withContainer(async (container) => {
        expect((await runToEnd(container, commands.echo('to you'))).stdout.toString()).toBe('to you\n')
        const both = await runToEnd(container, commands.teeToStderr(), Readable.from(['oh no']))
        expect([both.stdout.toString(), both.stderr]).toEqual(['oh no', 'oh no'])
      })
    })

    suite.api('L10, defect 12: passes standard input through unchanged, whatever the bytes', async () => {
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

    suite.kernel('L6: keeps the streams of a process apart and tells its exit code', async () => {
      await suite.withContainer(async (container) => {
        const { exit, stdout, stderr } = await runToEnd(container, sh('echo out; echo err >&2; exit 42'))
        expect([exit.exitCode, stdout.toString(), stderr]).toEqual([42, 'out\n', 'err\n'])
      })
    })

    for (const user of ['root', suite.user])
      suite.kernel(`L6: lets ${user} open its streams as /dev/stdin, /dev/stdout and /dev/stderr`, async () => {
        await suite.withContainer(async (container) => {
          const spec = { ...sh('cat /dev/stdin >/dev/stdout; echo err >/dev/stderr'), user }
          const { stdout, stderr } = await runToEnd(container, spec, Readable.from(['in\n']))
          expect([stdout.toString(), stderr]).toEqual(['in\n', 'err\n'])
        })
      })

    suite.kernel('L6: has a root that is root', async () => {
      await suite.withContainer(async (container) => {
        expect(await outputOf(container, sh('id -u; id -un'))).toBe('0\nroot\n')
      })
    })

    suite.api('L9: has told all output before it tells the exit, also of processes that end at once', async () => {
      await suite.withContainer(async (container) => {
        for (let round = 0; round < rounds(100, 10); round++) {
          const { exit, stdout } = await runToEnd(container, commands.echo(`round ${round}`))
          expect([exit.exitCode, stdout.toString()]).toEqual([0, `round ${round}\n`])
        }
      })
    })

    suite.api('L7: tells a second reader all that comes after it joined, on both streams', async () => {
      await suite.withContainer(async (container) => {
        const stdin = new Readable({ read: () => undefined })
        const process = await container.run({ ...commands.teeToStderr(), id: 'tee' }, { stdin })
        stdin.push('before\n')
        await waitForLog(container, 'tee', 'before')
        const [stdout, stderr] = [new Sink(), new Sink()]
        const second = await container.attach('tee', { stdout, stderr })
        stdin.push('after\n')
        stdin.push(null)
        await process.wait()
        await second.wait()
        expect([stdout.text, stderr.text.replace('before\n', '')]).toEqual(['after\n', 'after\n'])
      })
    })

    suite.kernel(
      'defect 1: gives a slow reader every byte, or says how many it missed',
      async () => {
        const total = rounds(50, 7) * 1_000_000
        await suite.withContainer(async (container) => {
          let received = 0
          let missed = 0
          const slow = new Writable({
            highWaterMark: 64 * 1024,
            write: (chunk: Buffer, _encoding, done) => {
              received += chunk.length
              void pause(chunk.length / 20_000).then(() => done())
            },
          })
          const process = await container.run(sh(`head -c ${total} /dev/zero`), {
            stdout: slow,
            onDropped: (_stream, bytes) => {
              missed += bytes
            },
          })
          expect((await process.wait()).exitCode).toBe(0)
          await finished(slow.end())
          expect(received + missed).toBe(total)
        })
      },
      { timeoutMs: 60_000 },
    )

    suite.api('lets a reader begin at any kept byte, or so many before the end', async () => {
      await suite.withContainer(async (container) => {
        const stdin = new Readable({ read: () => undefined })
        await container.run({ ...commands.cat(), id: 'cat' }, { stdin })
        stdin.push('0123456789')
        await waitForLog(container, 'cat', '0123456789')
        const whole = new Sink()
        const tail = new Sink()
        const ends = [
          await container.attach('cat', { stdout: whole }, { kind: 'offset', stdout: 4 }),
          await container.attach('cat', { stdout: tail }, { kind: 'tail', bytes: 3 }),
        ]
        stdin.push('abc')
        stdin.push(null)
        await Promise.all(ends.map(async (process) => await process.wait()))
        expect([whole.text, tail.text]).toEqual(['456789abc', '789abc'])
      })
    })
  })
}
