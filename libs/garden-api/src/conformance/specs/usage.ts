import { channel } from 'node:diagnostics_channel'
import { describe, expect } from 'vitest'
import { waitFor } from '@croft/kit'
import type { Container } from '../../backend.js'
import { ContainerNotFoundError } from '../../errors.js'
import { commands, sh } from '../commands.js'
import { outputOf, runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

const MIB = 1024 * 1024
const write = (path: string, mebibytes: number): ReturnType<typeof sh> =>
  sh('dd if=/dev/zero of="$1" bs=1M count="$2" 2>/dev/null', path, String(mebibytes))

/** What Garden measures and holds: memory, disk, processes, files. */
export function describeUsage(suite: Suite): void {
  describe('usage', () => {
    const exitOf = async (container: Container, spec: ReturnType<typeof sh>, user = 'root'): Promise<number> =>
      (await runToEnd(container, { ...spec, user })).exit.exitCode

    suite.kernel('T1, I1: measures memory, processor, processes and age, with the limits there are', async () => {
      await suite.withContainer(
        async (container) => {
          await runToEnd(container, sh('i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done'))
          expect(await exitOf(container, write('/dev/shm/some', 8))).toBe(0)
          /* the kernel sums up what the processors counted every two seconds */
          await waitFor(async () => (await container.metrics()).memory.usageTowardLimitBytes > 4 * MIB, {
            what: 'the memory in use to be counted',
            timeoutMs: 10_000,
          })
          const metrics = await container.metrics()
          expect(metrics.memory.limitBytes).toBe(64 * MIB)
          expect(metrics.cpu.usageNs).toBeGreaterThan(0)
          expect(metrics.pids).toEqual({ current: expect.any(Number), max: 128 })
          expect(metrics.pids.current).toBeGreaterThan(0)
          expect(metrics.ageMs).toBeGreaterThan(0)
          const bulk = (await suite.backend.bulkMetrics([container.handle])).get(container.handle)?.value
          expect(bulk?.memory.usageTowardLimitBytes).toBeGreaterThan(0)
        },
        { limits: { memory: { limitBytes: 64 * MIB }, pids: { max: 128 } } },
      )
      await suite.withContainer(async (container) => expect((await container.metrics()).pids.max).toBeNull())
    })

    suite.api('defect 14: measures containers without launching a process for it', async () => {
      await suite.withContainer(async (container) => {
        const launches = channel('child_process')
        let launched = 0
        const count = (): void => {
          launched += 1
        }
        launches.subscribe(count)
        try {
          await container.metrics()
          await suite.backend.bulkMetrics([container.handle, 'nosuch'])
        } finally {
          launches.unsubscribe(count)
        }
        expect(launched).toBe(0)
      })
    })

    suite.api('M1, M2: reports the processor and memory limits, of which 0 is none', async () => {
      await suite.withContainer(
        async (container) => {
          const { cpu, memory } = await container.limits()
          expect([cpu?.limitInShares, memory?.limitBytes]).toEqual([128, 64 * MIB])
        },
        { limits: { cpu: { limitInShares: 128 }, memory: { limitBytes: 64 * MIB } } },
      )
      await suite.withContainer(async (container) => expect((await container.metrics()).pids.max).toBeNull(), {
        limits: { memory: { limitBytes: 0 }, pids: { max: 0 } },
      })
    })

    suite.kernel('M2: lets 58 of 64 MB of memory be used, and ends what wants more', async () => {
      await suite.withContainer(
        async (container) => {
          expect(await exitOf(container, write('/dev/shm/fits', 58))).toBe(0)
          await runToEnd(container, sh('rm /dev/shm/fits'))
          expect(await exitOf(container, write('/dev/shm/too-big', 65))).not.toBe(0)
          expect(await exitOf(container, sh('true'))).toBe(0)
        },
        { limits: { memory: { limitBytes: 64 * MIB } } },
      )
    })

    suite.kernel(
      'M3: measures what is written to the disk, alone and with the image',
      async () => {
        await suite.withContainer(
          async (container) => {
            const before = (await container.metrics()).disk
            expect(before.totalBytes - before.exclusiveBytes).toBeGreaterThan(MIB)
            expect(await exitOf(container, write('/tmp/some', 10))).toBe(0)
            const after = (await container.metrics()).disk
            for (const part of ['exclusiveBytes', 'totalBytes'] as const) {
              expect(after[part] - before[part]).toBeGreaterThan(9 * MIB)
              expect(after[part] - before[part]).toBeLessThan(11 * MIB)
            }
            expect(after.exclusiveInodes - before.exclusiveInodes).toBe(1)
            expect(after.totalInodes).toBeGreaterThan(after.exclusiveInodes)
          },
          { limits: { disk: { byteHard: 40 * MIB, scope: 'exclusive' } } },
        )
      },
      { needs: ['diskQuota'] },
    )

    suite.kernel(
      'M3: holds a disk limit of what is written, for all users together and each container by itself',
      async () => {
        const limits = { disk: { byteHard: 10 * MIB, scope: 'exclusive' as const } }
        await suite.withContainer(
          async (container) => {
            expect(await exitOf(container, write('/tmp/fits', 7))).toBe(0)
            expect(await exitOf(container, write('/tmp/too-much', 4), 'alice')).not.toBe(0)
            await suite.withContainer(
              async (other) => {
                expect(await exitOf(other, write('/tmp/fits', 7))).toBe(0)
                expect(await exitOf(other, write('/tmp/too-much', 12))).not.toBe(0)
              },
              { limits },
            )
          },
          { limits },
        )
      },
      { needs: ['diskQuota'] },
    )

    suite.kernel(
      'M3: counts the image in a total disk limit, and refuses an image that is larger',
      async () => {
        let imageBytes = 0
        await suite.withContainer(async (container) => {
          const { totalBytes, exclusiveBytes } = (await container.metrics()).disk
          imageBytes = totalBytes - exclusiveBytes
        })
        await suite.withContainer(
          async (container) => {
            expect(await exitOf(container, write('/tmp/fits', 7))).toBe(0)
            expect((await container.metrics()).disk.totalBytes).toBeGreaterThan(imageBytes + 7 * MIB)
            expect(await exitOf(container, write('/tmp/too-much', 20))).not.toBe(0)
          },
          { limits: { disk: { byteHard: imageBytes + 20 * MIB, scope: 'total' } } },
        )
        const tooSmall = { ...suite.base, handle: 'too-small', limits: { disk: { byteHard: imageBytes - MIB } } }
        await expect(suite.backend.create(tooSmall)).rejects.toThrow(/image/)
        await expect(suite.backend.lookup('too-small')).rejects.toThrow(ContainerNotFoundError)
      },
      { needs: ['diskQuota'] },
    )

    suite.kernel('M5: holds a limit of processes', async () => {
      await suite.withContainer(
        async (container) => {
          const { exit, stderr } = await runToEnd(container, sh('for i in $(seq 60); do sleep 20 & done'))
          expect(exit.exitCode).toBe(2)
          expect(stderr.toLowerCase()).toContain('fork')
          expect((await container.metrics()).pids).toMatchObject({ max: 50 })
        },
        { limits: { pids: { max: 50 } } },
      )
    })

    suite.kernel('M6: holds a limit of open files of a process', async () => {
      await suite.withContainer(async (container) => {
        const spec = { path: '/bin/bash', args: ['-c', 'exec 40</dev/null && echo opened'], rlimits: { nofile: 30 } }
        expect(await outputOf(container, spec)).not.toContain('opened')
        expect(await outputOf(container, { ...spec, rlimits: { nofile: 60 } })).toBe('opened\n')
        expect((await runToEnd(container, commands.exit(0))).exit.exitCode).toBe(0)
      })
    })
  })
}
