import { describe, expect } from 'vitest'
import { commands, sh } from '../commands.js'
import { runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

/** Processes with an image of their own in a container's namespaces ("peas"). */
export function describeSidecars(suite: Suite): void {
  describe('sidecars', () => {
    suite.kernel(
      'A1: tell how they ended',
      async () => {
        await suite.withContainer(async (container) => {
          const { exit } = await runToEnd(container, { ...commands.exit(6), image: suite.base.image ?? { uri: '' } })
          expect(exit.exitCode).toBe(6)
        })
      },
      { needs: ['hasSidecars'] },
    )

    suite.kernel(
      'A1: have a root of their own, and user 0:0 in `/` when nothing else is asked for',
      async () => {
        await suite.withContainer(async (container) => {
          await runToEnd(container, sh('echo container > /whose-root'))
          const sidecar = { ...sh('pwd; id -u; id -g; cat /whose-root'), image: suite.base.image ?? { uri: '' } }
          const { stdout } = await runToEnd(container, sidecar)
          expect(stdout.toString()).toBe('/\n0\n0\n')
        })
      },
      { needs: ['hasSidecars'] },
    )
  })
}
