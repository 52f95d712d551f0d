import { describe, expect } from 'vitest'
import { sh } from '../commands.js'
import { runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

/** Who a process runs as, and where. */
export function describeUsers(suite: Suite): void {
  describe('users', () => {
    suite.kernel("runs as the user asked, with the user's groups and home", async () => {
      await suite.withContainer(async (container) => {
        const { stdout } = await runToEnd(container, {
          ...sh('id -u; pwd; echo $HOME; echo $USER'),
          user: suite.user,
        })
        const [uid, pwd, home, name] = stdout.toString().trim().split('\n')
        expect(Number(uid)).toBeGreaterThan(0)
        expect([pwd, name]).toEqual([home, suite.user])
      })
    })

    suite.kernel('makes a working directory that is missing, owned by the user', async () => {
      await suite.withContainer(async (container) => {
        const script = 'pwd; touch here && echo writable'
        const { stdout } = await runToEnd(container, {
          ...sh(script),
          user: suite.user,
          dir: '/srv/a/b',
        })
        expect(stdout.toString()).toBe('/srv/a/b\nwritable\n')
      })
    })
  })
}
