import { describe, expect } from 'vitest'
import { ExecutableNotFoundError, ProcessNotFoundError, UserNotFoundError } from '../../errors.js'
import { commands, SIGKILL, SIGTERM } from '../commands.js'
import { runToEnd, Sink, waitForLog } from '../streams.js'
import type { Suite } from '../suite.js'

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

    suite.api('gives a process the environment of the container and its own, its own last', async () => {
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

    suite.api('names a program that is not there', async () => {
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

    suite.api('refuses a process id that was used, also by one that has ended', async () => {
      await suite.withContainer(async (container) => {
        await (await container.run({ ...commands.exit(0), id: 'one' })).wait()
        await expect(container.run({ ...commands.exit(0), id: 'one' })).rejects.toThrow(/already (in use|exists)/)
      })
    })

    suite.api('lists processes with how they ended', async () => {
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

    suite.api('joins a running process and one that has ended', async () => {
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

    suite.api('stops all processes and stays, stopped, usable for more', async () => {
      await suite.withContainer(async (container) => {
        const trap = await container.run({ ...commands.trap(9), id: 'trap' })
        const plain = await container.run({ ...commands.forever(), id: 'plain' })
        await waitForLog(container, 'trap', 'ready')
        await container.stop()
        expect((await trap.wait()).exitCode).toBe(9)
        expect((await plain.wait()).exitCode).toBe(143)
        expect((await container.info()).state).toBe('stopped')
        expect((await runToEnd(container, commands.exit(0))).exit.exitCode).toBe(0)
      })
    })

    suite.api('kills at once when asked to', async () => {
      await suite.withContainer(async (container) => {
        const trap = await container.run({ ...commands.trap(9), id: 'trap' })
        await waitForLog(container, 'trap', 'ready')
        await container.stop({ kill: true })
        expect(await trap.wait()).toMatchObject({ exitCode: 137, signal: SIGKILL })
      })
    })
  })
}
