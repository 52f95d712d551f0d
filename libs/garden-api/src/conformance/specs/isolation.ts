import { describe, expect } from 'vitest'
import { sh } from '../commands.js'
import { runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

/** What a container cannot see or do. */
export function describeIsolation(suite: Suite): void {
  describe('isolation', () => {
    suite.kernel('S1: hides the processes of others: there are the first one and its own', async () => {
      await suite.withContainer(async (container) => {
        const { stdout } = await runToEnd(container, sh('for p in /proc/[0-9]*; do echo "${p#/proc/}"; done; echo $$'))
        const pids = stdout.toString().trim().split('\n')
        expect(pids).toHaveLength(3)
        expect(pids[0]).toBe('1')
        expect(pids[1]).toBe(pids[2])
      })
    })
  })
}
