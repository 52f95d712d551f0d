import { describe, expect } from 'vitest'
import { sh } from '../commands.js'
import { runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

/** Processes with a terminal. */
export function describeTty(suite: Suite): void {
  describe('terminals', () => {
    suite.kernel('gives a terminal of the asked size when asked for one', async () => {
      await suite.withContainer(async (container) => {
        const spec = {
          ...sh('stty size; tty -s && echo terminal'),
          tty: { columns: 100, rows: 40 },
        }
        const { stdout } = await runToEnd(container, spec)
        expect(stdout.toString()).toBe('40 100\r\nterminal\r\n')
      })
    })
  })
}
