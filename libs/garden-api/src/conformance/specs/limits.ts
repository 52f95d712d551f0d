import { describe, expect } from 'vitest'
import { systemClock } from '@croft/kit'
import type { Container } from '../../backend.js'
import { InvalidSpecError, LimitBelowUseError, NotSupportedError } from '../../errors.js'
import { commands, sh, SIGKILL } from '../commands.js'
import { runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

const MIB = 1024 * 1024

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

    suite.kernel('tells a kill for memory from any other kill, process by process', async () => {
      const hog = 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'
      await suite.withContainer(
        async (container) => {
          const bystander = await container.run({ ...commands.forever(), id: 'bystander' })
          const endOf = async (script: string): Promise<object> => {
            const { exitCode, isOutOfMemory } = (await runToEnd(container, sh(script))).exit
            return { exitCode, isOutOfMemory }
          }
          expect(await endOf(hog)).toEqual({ exitCode: 137, isOutOfMemory: true })
          /* what was killed is a grandchild: one that fails for it, and one that goes on without */
          expect(await endOf(`sh -c '${hog}'; exit 3`)).toEqual({ exitCode: 3, isOutOfMemory: true })
          expect(await endOf(`sh -c '${hog}'; exit 0`)).toEqual({ exitCode: 0, isOutOfMemory: false })
          await bystander.signal(SIGKILL)
          expect(await bystander.wait()).toMatchObject({ exitCode: 137, isOutOfMemory: false })
          expect((await container.info()).events).toContain('Out of memory')
        },
        { limits: { memory: { limitBytes: 48 * MIB } } },
      )
      await suite.withContainer(async (container) => {
        const killed = await container.run({ ...commands.forever(), id: 'killed' })
        await container.stop({ kill: true })
        expect(await killed.wait()).toMatchObject({ exitCode: 137, isOutOfMemory: false })
        expect((await container.info()).events).toEqual([])
      })
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
          expect((await container.metrics()).disk.exclusiveBytes).toBeLessThan(21 * 1024 * 1024)
        },
        { limits: { pids: { max: 32 }, disk: { byteHard: 20 * 1024 * 1024, scope: 'exclusive' } } },
      )
    })

    suite.api(
      'change while a container runs, are told of, and stay when the backend dies',
      async () => {
        const limits = { memory: { limitBytes: 64 * MIB }, cpu: { weight: 200, quotaMillis: 500 } }
        const container = await suite.backend.create({ ...suite.base, limits })
        expect(await container.limits()).toMatchObject(limits)
        await container.changeLimits({
          memory: { limitBytes: 128 * MIB },
          pids: { max: 40 },
          cpu: { quotaMillis: 800 },
        })
        const changed = { memory: { limitBytes: 128 * MIB }, pids: { max: 40 }, cpu: { weight: 200, quotaMillis: 800 } }
        expect(await container.limits()).toMatchObject(changed)
        const metrics = await container.metrics()
        expect([metrics.memory.limitBytes, metrics.pids.max]).toEqual([128 * MIB, 40])

        const second = await suite.underTest.reopen()
        await second.recover()
        const same = await second.lookup(container.handle)
        expect(await same.limits()).toMatchObject(changed)
        await same.changeLimits({ pids: { max: 0 } })
        expect((await same.metrics()).pids.max).toBeNull()
        await second.destroy(container.handle)
        await second.close()
        await suite.backend.destroy(container.handle, { ifExists: true })
      },
      { needs: ['hasLiveLimits'] },
    )

    suite.kernel(
      'let through what a raised memory limit has room for, and hold again what was lowered',
      async () => {
        await suite.withContainer(
          async (container) => {
            const fill = sh('head -c 60000000 /dev/zero > /dev/shm/fill')
            expect((await runToEnd(container, fill)).exit).toMatchObject({ exitCode: 137, isOutOfMemory: true })
            await container.changeLimits({ memory: { limitBytes: 128 * MIB } })
            expect((await runToEnd(container, fill)).exit.exitCode).toBe(0)
            const asked = { pids: { max: 30 }, memory: { limitBytes: 32 * MIB } }
            await expect(container.changeLimits(asked)).rejects.toThrow(LimitBelowUseError)
            expect(await container.limits()).toMatchObject({ memory: { limitBytes: 128 * MIB } })
            expect((await container.metrics()).pids.max).toBeNull()
            await runToEnd(container, sh('rm /dev/shm/fill'))
            await container.changeLimits(asked)
            expect((await runToEnd(container, fill)).exit).toMatchObject({ exitCode: 137, isOutOfMemory: true })
          },
          { limits: { memory: { limitBytes: 48 * MIB } } },
        )
      },
      { needs: ['hasLiveLimits'] },
    )

    suite.kernel('are refused as a change when they make no sense, by a typed error', async () => {
      await suite.withContainer(async (container) => {
        await expect(container.changeLimits({ pids: { max: -1 } })).rejects.toThrow(InvalidSpecError)
        await expect(container.changeLimits({ memory: { limitBytes: 1.5 } })).rejects.toThrow(InvalidSpecError)
        expect(await container.limits()).toEqual({})
      })
    })

    suite.kernel(
      'hold the processor time of a spinning process, also when they change',
      async () => {
        await suite.withContainer(
          async (container) => {
            const spin = await container.run(sh('while :; do :; done'))
            expect(await coresUsed(container)).toBeLessThan(0.4)
            await container.changeLimits({ cpu: { quotaMillis: 50 } })
            expect(await coresUsed(container)).toBeLessThan(0.12)
            await spin.signal(SIGKILL)
            await spin.wait()
          },
          { limits: { cpu: { quotaMillis: 250 } } },
        )
      },
      { needs: ['hasLiveLimits'] },
    )

    suite.kernel(
      'throttle what is written past the cache, until they are lifted',
      async () => {
        await suite.withContainer(
          async (container) => {
            const write = sh('dd if=/dev/zero of=/tmp/direct bs=64k count=24 oflag=direct conv=notrunc')
            await runToEnd(container, write) // makes the file; the throttle lets a first burst through
            const throttledMs = await elapsedMs(async () => await runToEnd(container, write))
            await container.changeLimits({ io: { writeBytesPerSecond: 0 } })
            const liftedMs = await elapsedMs(async () => await runToEnd(container, write))
            expect(throttledMs - liftedMs).toBeGreaterThan(700)
          },
          { limits: { io: { writeBytesPerSecond: MIB } } },
        )
      },
      { needs: ['hasLiveLimits', 'io'] },
    )

    suite.api(
      'hold a bandwidth that is told of, and refuse one that is none',
      async () => {
        const bandwidth = { rateBytesPerSecond: 2 * MIB, burstBytes: 64 * 1024 }
        await suite.withContainer(
          async (container) => {
            expect((await container.limits()).bandwidth).toEqual(bandwidth)
            const wrong = { rateBytesPerSecond: -1, burstBytes: 0 }
            await expect(container.changeLimits({ bandwidth: wrong })).rejects.toThrow(InvalidSpecError)
            expect((await container.limits()).bandwidth).toEqual(bandwidth)
          },
          { limits: { bandwidth } },
        )
      },
      { needs: ['hasBandwidth'] },
    )

    suite.kernel('say when a weight or a rate of I/O cannot be held', async () => {
      const { io } = suite.options.capabilities
      await suite.withContainer(async (container) => {
        if (io !== 'weight')
          await expect(container.changeLimits({ io: { weight: 50 } })).rejects.toThrow(NotSupportedError)
        const rate = container.changeLimits({ io: { readBytesPerSecond: 1_000_000 } })
        if (io === 'none') await expect(rate).rejects.toThrow(NotSupportedError)
        else await rate
      })
    })
  })
}

const SAMPLE_MS = 500

/** Processors a container uses, over half a second. */
async function coresUsed(container: Container): Promise<number> {
  const usedNs = async (): Promise<number> => (await container.metrics()).cpu.usageNs
  const startMs = systemClock.monotonic()
  const before = await usedNs()
  await systemClock.sleep(SAMPLE_MS)
  return ((await usedNs()) - before) / 1e6 / (systemClock.monotonic() - startMs)
}

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startMs = systemClock.monotonic()
  await work()
  return systemClock.monotonic() - startMs
}
