import { describe, expect } from 'vitest'
import { ExecutableNotFoundError, InvalidSpecError, ProcessNotFoundError, UserNotFoundError } from '../../errors.js'
import { commands, sh, SIGKILL, SIGTERM } from '../commands.js'
import { Readable } from 'node:stream'
import { outputOf, runToEnd, Sink, waitForLog } from '../streams.js'
import { rounds, type Suite } from '../suite.js'

/** How processes start, are found, signalled and end. */
export function describeProcesses(suite: Suite): void {
  describe('processes', () => {
    for (const code of [0, 1, 7, 255])
      suite.api(`tells that a process ended with ${code}`, async () => {
        await suite.withContainer(async (container) => {
          const { exit } = await runToEnd(container, commands.exit(code))
          expect(exit).toMatchObject({ exitCode: code, signal: null, isOutOfMemory: false })
        })
      })

    suite.api('P1: gives a process the environment of the container and its own, its own last', async () => {
      await suite.withContainer(
        async (container) => {
          const { stdout } = await runToEnd(container, { ...commands.env(), env: ['B=process', 'C=process'] })
          const lines = new Map(
            stdout
              .toString()
              .trim()
              .split('\n')
              .map((line) => line.split('=', 2) as [string, string]),
          )
          expect([lines.get('A'), lines.get('C')]).toEqual(['container', 'process'])
          expect(lines.get('B')).toBe('process')
        },
        { env: ['A=container', 'B=container'] },
      )
    })

    suite.api('defect 8: names a program that is not there', async () => {
      await suite.withContainer(async (container) => {
        await expect(container.run({ path: 'nosuch-program' })).rejects.toThrow(ExecutableNotFoundError)
        await expect(container.run({ path: 'nosuch-program' })).rejects.toThrow('executable file not found in $PATH')
        expect(await container.processes()).toEqual([])
      })
    })

    suite.api('names a user that is not there', async () => {
      await suite.withContainer(async (container) => {
        await expect(container.run({ ...commands.exit(0), user: 'nosuch-user' })).rejects.toThrow(UserNotFoundError)
      })
    })

    suite.api(
      'P1, defect 16: refuses the id of a process that runs, and takes that of one that has ended',
      async () => {
        await suite.withContainer(async (container) => {
          const first = await container.run({ ...commands.forever(), id: 'one' })
          await expect(container.run({ ...commands.exit(0), id: 'one' })).rejects.toThrow(/already (in use|exists)/)
          await first.signal(9)
          await first.wait()
          await (await container.run({ ...commands.echo('second'), id: 'one' })).wait()
          expect((await container.processes()).map(({ id, exit }) => [id, exit?.exitCode])).toEqual([['one', 0]])
          expect((await container.readLog('one', 'stdout')).data.toString()).toBe('second\n')
          await expect(container.run({ path: 'nosuch-program', id: 'one' })).rejects.toThrow(
            'executable file not found',
          )
          expect((await container.attach('one')).id).toBe('one')
        })
      },
    )

    suite.api('P1, defect 16: lists processes with how they ended, under the ids they were given', async () => {
      await suite.withContainer(async (container) => {
        await (await container.run({ ...commands.exit(3), id: 'done' })).wait()
        const running = await container.run({ ...commands.forever(), id: 'busy' })
        const processes = new Map((await container.processes()).map((process) => [process.id, process]))
        expect(processes.get('done')).toMatchObject({ state: 'exited', pid: null, exit: { exitCode: 3 } })
        expect(processes.get('busy')).toMatchObject({ state: 'running', exit: null })
        expect((await container.info()).processIds.toSorted()).toEqual(['busy', 'done'])
        await running.signal(SIGKILL)
        expect(await running.wait()).toMatchObject({ exitCode: 137, signal: SIGKILL })
      })
    })

    suite.api('delivers a signal a process handles, and says nothing can be sent to one that ended', async () => {
      await suite.withContainer(async (container) => {
        const process = await container.run({ ...commands.trap(42), id: 'trap' })
        await waitForLog(container, 'trap', 'ready')
        await process.signal(SIGTERM)
        expect(await process.wait()).toMatchObject({ exitCode: 42, signal: null })
        await expect(process.signal(SIGTERM)).rejects.toThrow(ProcessNotFoundError)
      })
    })

    suite.api('lets a waiter give up while the process runs on', async () => {
      await suite.withContainer(async (container) => {
        const process = await container.run({ ...commands.forever(), id: 'long' })
        const giveUp = new AbortController()
        const waiting = process.wait(giveUp.signal)
        giveUp.abort(new Error('enough'))
        await expect(waiting).rejects.toThrow('enough')
        expect((await container.processes())[0]?.state).toBe('running')
      })
    })

    suite.api('L5: joins a running process and one that has ended, and none that never was', async () => {
      await suite.withContainer(async (container) => {
        const first = await container.run({ ...commands.trap(5), id: 'shared' })
        await waitForLog(container, 'shared', 'ready')
        const second = await container.attach('shared', { stdout: new Sink() })
        await first.signal(SIGTERM)
        expect((await second.wait()).exitCode).toBe(5)
        expect((await (await container.attach('shared')).wait()).exitCode).toBe(5)
        await expect(container.attach('nosuch')).rejects.toThrow(ProcessNotFoundError)
      })
    })

    suite.api('L13, defect 16: stops all processes and is stopped until something runs in it again', async () => {
      await suite.withContainer(async (container) => {
        const trap = await container.run({ ...commands.trap(9), id: 'trap' })
        const plain = await container.run({ ...commands.forever(), id: 'plain' })
        await waitForLog(container, 'trap', 'ready')
        await container.stop()
        expect((await trap.wait()).exitCode).toBe(9)
        expect((await plain.wait()).exitCode).toBe(143)
        expect((await container.info()).state).toBe('stopped')
        await container.run(commands.forever())
        expect((await container.info()).state).toBe('active')
      })
    })

    suite.api('L13: kills at once when asked to', async () => {
      await suite.withContainer(async (container) => {
        const trap = await container.run({ ...commands.trap(9), id: 'trap' })
        await waitForLog(container, 'trap', 'ready')
        await container.stop({ kill: true })
        expect(await trap.wait()).toMatchObject({ exitCode: 137, signal: SIGKILL })
      })
    })

    suite.api('L7: tells everybody who is attached how it ended, as often as they ask', async () => {
      await suite.withContainer(async (container) => {
        const first = await container.run({ ...commands.trap(12), id: 'shared' })
        await waitForLog(container, 'shared', 'ready')
        const others = await Promise.all(Array.from({ length: 6 }, async () => await container.attach('shared')))
        await first.signal(SIGTERM)
        const exits = await Promise.all([first, ...others].map(async (process) => (await process.wait()).exitCode))
        expect(exits).toEqual(Array.from({ length: 7 }, () => 12))
        const again = [await first.wait(), await first.wait(), await first.wait()]
        expect(again.map((exit) => exit.exitCode)).toEqual([12, 12, 12])
      })
    })

    for (const user of ['root', suite.user])
      suite.api(`L8: delivers TERM to a process of ${user}, and KILL ends one`, async () => {
        await suite.withContainer(async (container) => {
          const trap = await container.run({ ...commands.trap(42), id: 'trap', user })
          await waitForLog(container, 'trap', 'ready')
          await trap.signal(SIGTERM)
          expect((await trap.wait()).exitCode).toBe(42)
          const plain = await container.run({ ...commands.forever(), user })
          await plain.signal(SIGTERM)
          expect(await plain.wait()).toMatchObject({ exitCode: 143, signal: SIGTERM })
          const killed = await container.run({ ...commands.forever(), user })
          await killed.signal(SIGKILL)
          expect(await killed.wait()).toMatchObject({ exitCode: 137, signal: SIGKILL })
        })
      })

    suite.api('P1, L8: ends a process that is signalled as soon as it was started, every time', async () => {
      await suite.withContainer(async (container) => {
        for (let round = 0; round < rounds(20, 3); round++) {
          const process = await container.run(commands.forever())
          await process.signal(round % 2 === 0 ? SIGTERM : SIGKILL)
          expect((await process.wait()).exitCode).toBe(round % 2 === 0 ? 143 : 137)
        }
      })
    })

    suite.kernel('L8: a killed process is gone, and prints no more', async () => {
      await suite.withContainer(async (container) => {
        const process = await container.run({ ...sh('echo $$ >/tmp/pid; while :; do echo more; done'), id: 'talker' })
        await waitForLog(container, 'talker', 'more')
        await process.signal(SIGKILL)
        await process.wait()
        expect(await outputOf(container, sh('ls -d "/proc/$(cat /tmp/pid)" 2>/dev/null || echo gone'))).toBe('gone\n')
        const { offset, data } = await container.readLog('talker', 'stdout')
        await runToEnd(container, commands.exit(0))
        const later = await container.readLog('talker', 'stdout')
        expect(later.offset + later.data.length).toBe(offset + data.length)
      })
    })

    suite.kernel(
      'L8: signals processes of an image that has no program for it',
      async () => {
        await suite.withContainer(
          async (container) => {
            expect(await outputOf(container, sh('ls /bin/kill 2>&1 | grep -c No'))).toBe('1\n')
            const trap = await container.run({ ...commands.trap(42), id: 'trap', user: suite.user })
            await waitForLog(container, 'trap', 'ready')
            await trap.signal(SIGTERM)
            expect((await trap.wait()).exitCode).toBe(42)
          },
          { image: suite.image('noKill') },
        )
      },
      { image: 'noKill' },
    )

    suite.api('defect 2: hears signals after the end of its standard input', async () => {
      await suite.withContainer(async (container) => {
        const trap = await container.run({ ...commands.trap(7), id: 'trap' }, { stdin: Readable.from([]) })
        await waitForLog(container, 'trap', 'ready')
        await trap.signal(SIGTERM)
        expect((await trap.wait()).exitCode).toBe(7)
      })
    })

    suite.api('L10: tells how it ended though its standard input is still being written', async () => {
      await suite.withContainer(async (container) => {
        for (let round = 0; round < rounds(10); round++) {
          const stdin = new Readable({ read: () => undefined })
          stdin.push('some')
          const process = await container.run(commands.exit(round), { stdin })
          expect((await process.wait()).exitCode).toBe(round)
          stdin.destroy()
        }
      })
    })

    suite.kernel('L12: works in the directory asked for', async () => {
      await suite.withContainer(async (container) => {
        expect(await outputOf(container, { ...sh('pwd'), dir: '/usr' })).toBe('/usr\n')
      })
    })

    suite.kernel('L13: stops a tree of processes within 9 s, all with TERM', async () => {
      await suite.withContainer(async (container) => {
        const tree = await container.run({ ...sh('sh -c "sleep 1000 & sleep 1000; echo after"; wait'), id: 'tree' })
        await container.run({ ...sh('sleep 1000 & wait'), id: 'other' })
        const startedAt = Date.now()
        await container.stop()
        expect(Date.now() - startedAt).toBeLessThan(9000)
        expect((await tree.wait()).exitCode).toBe(143)
        expect((await container.metrics()).pids.current).toBeLessThanOrEqual(1)
      })
    })

    suite.kernel(
      'L13: kills what does not heed TERM after 10 s, and not before',
      async () => {
        await suite.withContainer(async (container) => {
          const stubborn = await container.run({
            ...sh("trap '' TERM; echo ready; while :; do sleep 1; done"),
            id: 'it',
          })
          await waitForLog(container, 'it', 'ready')
          const startedAt = Date.now()
          await container.stop()
          expect(Date.now() - startedAt).toBeGreaterThanOrEqual(10_000)
          expect((await stubborn.wait()).exitCode).toBe(137)
        })
      },
      { timeoutMs: 30_000 },
    )

    suite.kernel('defect 11: tells at once how it ended, though a child of it keeps its output open', async () => {
      await suite.withContainer(async (container) => {
        const startedAt = Date.now()
        const process = await container.run(sh('sleep 60 & exit 3'), { stdout: new Sink(), stderr: new Sink() })
        expect((await process.wait()).exitCode).toBe(3)
        expect(Date.now() - startedAt).toBeLessThan(5000)
      })
    })

    suite.kernel('P1: can be waited for when its background children have ended', async () => {
      await suite.withContainer(async (container) => {
        const { exit, stdout } = await runToEnd(container, sh('(sleep 0.1; echo child) & wait; echo parent'))
        expect([exit.exitCode, stdout.toString()]).toEqual([0, 'child\nparent\n'])
      })
    })

    suite.api('P1: refuses bind mounts for a process that has no image of its own', async () => {
      await suite.withContainer(async (container) => {
        const bindMounts = [{ srcPath: '/tmp', dstPath: '/data', mode: 'ro' as const }]
        await expect(container.run({ ...commands.exit(0), bindMounts })).rejects.toThrow(InvalidSpecError)
        expect(await container.processes()).toEqual([])
      })
    })
  })
}
