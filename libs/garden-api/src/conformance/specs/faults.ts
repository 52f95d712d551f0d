import { describe, expect } from 'vitest'
import type { Backend, Container } from '../../backend.js'
import { ContainerNotFoundError, InvalidSpecError } from '../../errors.js'
import { commands } from '../commands.js'
import type { BindMount, ContainerSpec, ProcessSpec } from '../../types.js'
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

const bind = (over: Partial<BindMount>): ContainerSpec => ({
  bindMounts: [{ srcPath: '/src', dstPath: '/dst', mode: 'ro', ...over }],
})

/** What no backend can make, by the field that is wrong. */
const WRONG_SPECS: Record<string, ContainerSpec> = {
  'a handle with a path': { handle: 'a/../b' },
  'a host name of two words': { hostname: 'a b' },
  'a grace time of the past': { graceTimeMs: -1 },
  'a grace time of half a millisecond': { graceTimeMs: 0.5 },
  'an environment without a name': { env: ['=value'] },
  'an environment with a NUL byte': { env: ['A=\0'] },
  'a bind mount from a relative path': bind({ srcPath: 'etc' }),
  'a bind mount to a relative path': bind({ dstPath: 'etc' }),
  'a bind mount to a path that leads up': bind({ dstPath: '/a/../../etc' }),
  'negative memory': { limits: { memory: { limitBytes: -1 } } },
  'half a process': { limits: { pids: { max: 0.5 } } },
  'endless disk': { limits: { disk: { byteHard: Number.POSITIVE_INFINITY } } },
  'a share that is no number': { limits: { cpu: { limitInShares: Number.NaN } } },
  'a host port beyond the last': { netIn: [{ hostPort: 65_536 }] },
  'a negative container port': { netIn: [{ containerPort: -1 }] },
}

const WRONG_PROCESSES: Record<string, ProcessSpec> = {
  'no path': { path: '' },
  'an id that is a path': { path: 'echo', id: '../up' },
  'a NUL byte in an argument': { path: 'echo', args: ['a\0b'] },
  'an environment without a name': { path: 'echo', env: ['no equals sign'] },
  'a negative resource limit': { path: 'echo', rlimits: { nofile: -1 } },
  'limits of its own, but no image': { path: 'echo', limits: { memory: { limitBytes: 1 } } },
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

    for (const [what, wrong] of Object.entries(WRONG_SPECS))
      suite.api(`refuses ${what}, and makes nothing of it`, async () => {
        const before = (await suite.backend.containers()).length
        await expect(suite.backend.check({ ...suite.base, ...wrong })).rejects.toThrow(InvalidSpecError)
        await expect(suite.backend.create({ ...suite.base, ...wrong })).rejects.toThrow(InvalidSpecError)
        expect((await suite.backend.containers()).length).toBe(before)
      })

    suite.api('refuses processes that cannot be, each by what is wrong with it', async () => {
      await suite.withContainer(async (container) => {
        for (const [what, wrong] of Object.entries(WRONG_PROCESSES))
          await expect(container.run(wrong), what).rejects.toThrow(InvalidSpecError)
        expect(await container.processes()).toEqual([])
      })
    })

    suite.api(
      'refuses changes of limits that make no sense, and keeps those there are',
      async () => {
        const limits = { memory: { limitBytes: 64 * 1024 * 1024 } }
        await suite.withContainer(
          async (container) => {
            for (const wrong of [{ memory: { limitBytes: -1 } }, { pids: { max: Number.NaN } }])
              await expect(container.changeLimits(wrong)).rejects.toThrow(InvalidSpecError)
            expect((await container.limits()).memory).toEqual(limits.memory)
          },
          { limits },
        )
      },
      { needs: ['hasLiveLimits'] },
    )
  })
}
