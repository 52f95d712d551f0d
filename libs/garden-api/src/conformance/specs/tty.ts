import { describe, expect } from 'vitest'
import { sh, SIGTERM } from '../commands.js'
import { runToEnd, Sink, waitForLog } from '../streams.js'
import { rounds, type Suite } from '../suite.js'

/** Processes with a terminal. */
export function describeTty(suite: Suite): void {
  describe('terminals', () => {
    suite.kernel('L11: gives a terminal of the asked size when asked for one', async () => {
      await suite.withContainer(async (container) => {
        const spec = {
          ...sh('stty size; tty -s && echo terminal'),
          tty: { columns: 100, rows: 40 },
        }
        const { stdout } = await runToEnd(container, spec)
        expect(stdout.toString()).toBe('40 100\r\nterminal\r\n')
      })
    })

    suite.kernel(
      'L11: is 80 columns by 24 rows unless asked for otherwise, and ends lines with a return',
      async () => {
        await suite.withContainer(async (container) => {
          const { stdout, stderr } = await runToEnd(container, { ...sh('stty size; echo err >&2'), tty: true })
          expect([stdout.toString(), stderr]).toEqual(['24 80\r\nerr\r\n', ''])
        })
      },
      { needs: ['hasTty'] },
    )

    suite.kernel(
      'L11: tells the process of a new size, and everybody who is attached what it prints',
      async () => {
        await suite.withContainer(async (container) => {
          const script = "trap 'stty size' WINCH; trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
          const stdout = new Sink()
          const process = await container.run({ ...sh(script), id: 'tty', tty: true }, { stdout })
          await waitForLog(container, 'tty', 'ready')
          const second = new Sink()
          const attached = await container.attach('tty', { stdout: second })
          await process.resize(123, 45)
          await waitForLog(container, 'tty', '45 123')
          await process.signal(SIGTERM)
          expect((await process.wait()).exitCode).toBe(0)
          await attached.wait()
          expect([stdout.text, second.text]).toEqual(['ready\r\n45 123\r\n', '45 123\r\n'])
        })
      },
      { needs: ['hasTty'] },
    )

    suite.kernel(
      'L9: has told all output before it tells the exit',
      async () => {
        await suite.withContainer(async (container) => {
          for (let round = 0; round < rounds(100, 10); round++) {
            const { stdout } = await runToEnd(container, { ...sh('seq 1 100'), tty: true })
            expect(stdout.toString().trim().split('\r\n')).toHaveLength(100)
          }
        })
      },
      { needs: ['hasTty'] },
    )
  })
}
