import { describe, expect } from 'vitest'
import type { Backend, Container } from '../../backend.js'
import { ContainerNotFoundError, InvalidSpecError } from '../../errors.js'
import { commands } from '../commands.js'
import { tarOf } from '../streams.js'
import type { Suite } from '../suite.js'

/** Every call that names a container, for one that is gone. */
const CALLS: Record<string, (container: Container, backend: Backend) => Promise<unknown>> = {
  info: async (container) => await container.info(),
  metrics: async (container) => await container.metrics(),
  stop: async (container) => await container.stop(),
  run: async (container) => await container.run(commands.exit(0)),
  attach: async (container) => await container.attach('one'),
  processes: async (container) => await container.processes(),
  readLog: async (container) => await container.readLog('one', 'stdout'),
  streamIn: async (container) => await container.streamIn({ user: 'root', path: '/tmp', tar: tarOf({ a: 'b' }) }),
  streamOut: async (container) => await container.streamOut({ user: 'root', path: '/tmp' }),
  properties: async (container) => await container.properties(),
  setProperty: async (container) => await container.setProperty('a', 'b'),
  removeProperty: async (container) => await container.removeProperty('a'),
  limits: async (container) => await container.limits(),
  graceTimeMs: async (container) => await container.graceTimeMs(),
  setGraceTime: async (container) => await container.setGraceTime(1000),
  lease: async (container) => await container.lease(),
  setLease: async (container) => await container.setLease(null),
  lookup: async (container, backend) => await backend.lookup(container.handle),
  destroy: async (container, backend) => await backend.destroy(container.handle),
}

/** What a caller did wrong is said by a typed error, and leaves nothing half made. */
export function describeFaults(suite: Suite): void {
  describe('mistakes', () => {
    for (const [call, make] of Object.entries(CALLS)) {
      suite.api(`defect 6: ${call} of a container that is gone says so by type`, async () => {
        const container = await suite.backend.create(suite.base)
        await suite.backend.destroy(container.handle)
        const error: unknown = await make(container, suite.backend).catch((reason: unknown) => reason)
        expect(error).toBeInstanceOf(ContainerNotFoundError)
        expect((error as Error).message).toBe(`unknown handle: ${container.handle}`)
      })
    }

    suite.api(
      'a spec that cannot be made is refused before anything is made, also when it is only checked',
      async () => {
        const wrong = { ...suite.base, handle: 'wrong', env: ['no equals sign'] }
        await expect(suite.backend.check(wrong)).rejects.toThrow(InvalidSpecError)
        await expect(suite.backend.create(wrong)).rejects.toThrow(InvalidSpecError)
        await expect(suite.backend.lookup('wrong')).rejects.toThrow(ContainerNotFoundError)
        await suite.backend.check({ ...suite.base, handle: 'wrong' })
        await expect(suite.backend.lookup('wrong')).rejects.toThrow(ContainerNotFoundError)
      },
    )

    suite.kernel('defect 15: a bind mount of what is not there is named, and leaves no container', async () => {
      const bindMounts = [{ srcPath: '/nosuch/source', dstPath: '/data', mode: 'ro' as const }]
      const spec = { ...suite.base, handle: 'no-source', bindMounts }
      await expect(suite.backend.create(spec)).rejects.toThrow(InvalidSpecError)
      await expect(suite.backend.create(spec)).rejects.toThrow('/nosuch/source')
      await expect(suite.backend.lookup('no-source')).rejects.toThrow(ContainerNotFoundError)
    })
  })
}
