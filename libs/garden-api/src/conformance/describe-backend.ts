import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it, type TestAPI } from 'vitest'
import type { Backend, Container } from '../backend.js'
import {
  AlreadyInUseError,
  ContainerNotFoundError,
  ExecutableNotFoundError,
  InvalidSpecError,
  ProcessNotFoundError,
  StreamError,
  UserNotFoundError,
} from '../errors.js'
import type { ContainerSpec } from '../types.js'
import type { Commands } from './commands.js'
import { filesOf, runToEnd, Sink, tarOf, waitForLog } from './streams.js'

/** What the suite needs of a backend under test. */
export interface ConformanceOptions {
  commands: Commands
  /** Put into every spec: the image, at least. */
  base: ContainerSpec
  /** A user of the image that is not root. */
  user: string
  /** Whether specs about the kernel's work can hold: false for a fake. */
  hasKernel: boolean
}

export interface BackendUnderTest {
  backend: Backend
  /** Another backend object over the same state, as after the first one's process died. */
  reopen(): Promise<Backend>
  clean(): Promise<void>
}

const SIGTERM = 15
const SIGKILL = 9

/** The suite any backend must pass: `api` specs say what the API promises, `kernel` specs what only a real one can do. */
export function describeBackend(
  title: string,
  makeBackend: () => Promise<BackendUnderTest>,
  options: ConformanceOptions,
): void {
  const { commands } = options
  const kernel: TestAPI | TestAPI['skip'] = options.hasKernel ? it : it.skip

  describe(`${title}: the container API`, () => {
    let underTest: BackendUnderTest
    let backend: Backend

    beforeAll(async () => {
      underTest = await makeBackend()
      backend = underTest.backend
      await backend.recover()
    })
    afterAll(async () => {
      await underTest.clean()
    })

    const withContainer = async (
      use: (container: Container) => Promise<void>,
      spec: ContainerSpec = {},
    ): Promise<void> => {
      const container = await backend.create({ ...options.base, ...spec })
      try {
        await use(container)
      } finally {
        await backend.destroy(container.handle, { ifExists: true })
      }
    }

    describe('api: containers', () => {
      it('answers a ping and says how much room it has', async () => {
        await backend.ping()
        expect((await backend.capacity()).maxContainers).toBeGreaterThan(0)
      })

      it('creates a container under the handle it is given and lists it by its properties', async () => {
        const owner = randomUUID()
        await withContainer(
          async (container) => {
            expect(container.handle).toBe(`c-${owner}`)
            const found = await backend.containers({ owner })
            expect(found.map((one) => one.handle)).toEqual([container.handle])
            expect((await backend.containers({ owner: 'nobody' })).length).toBe(0)
            const info = await container.info()
            expect(info).toMatchObject({ state: 'active', properties: { owner } })
          },
          { handle: `c-${owner}`, properties: { owner } },
        )
      })

      it('makes up a handle when none is given', async () => {
        await withContainer(async (container) => {
          expect(container.handle).toMatch(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/)
          expect((await backend.lookup(container.handle)).handle).toBe(container.handle)
        })
      })

      it('refuses a handle that is in use, by name', async () => {
        await withContainer(async (container) => {
          await expect(backend.create({ ...options.base, handle: container.handle })).rejects.toThrow(AlreadyInUseError)
          await expect(backend.create({ ...options.base, handle: container.handle })).rejects.toThrow(
            `Handle '${container.handle}' already in use`,
          )
        })
      })

      it('lets one of two creates of one handle win', async () => {
        const handle = `twice-${randomUUID()}`
        const results = await Promise.allSettled(
          [1, 2].map(async () => await backend.create({ ...options.base, handle })),
        )
        expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected'])
        await backend.destroy(handle)
      })

      it.each(['', '../up', 'a/b', '.hidden', 'a'.repeat(129)])('refuses %j as a handle', async (handle) => {
        await expect(backend.create({ ...options.base, handle })).rejects.toThrow(InvalidSpecError)
      })

      it('refuses a privileged container', async () => {
        await expect(backend.create({ ...options.base, isPrivileged: true })).rejects.toThrow('privileged')
      })

      it('knows nothing of a handle it never gave', async () => {
        await expect(backend.lookup('nosuch')).rejects.toThrow(ContainerNotFoundError)
        await expect(backend.destroy('nosuch')).rejects.toThrow('unknown handle: nosuch')
        await backend.destroy('nosuch', { ifExists: true })
        const infos = await backend.bulkInfo(['nosuch'])
        expect(infos.get('nosuch')?.error).toBeInstanceOf(ContainerNotFoundError)
      })

      it('forgets a destroyed container and lets its handle be used again', async () => {
        const container = await backend.create({ ...options.base, handle: 'again' })
        await Promise.all([backend.destroy('again'), backend.destroy('again', { ifExists: true })])
        await expect(container.info()).rejects.toThrow(ContainerNotFoundError)
        await expect(container.run(commands.exit(0))).rejects.toThrow(ContainerNotFoundError)
        await backend.create({ ...options.base, handle: 'again' })
        await backend.destroy('again')
      })

      it('keeps an address for the one who asked for it, until it is free again', async () => {
        const first = await backend.create(options.base)
        const address = (await first.info()).containerIp
        await expect(backend.create({ ...options.base, network: address })).rejects.toThrow(AlreadyInUseError)
        await backend.destroy(first.handle)
        await withContainer(async (container) => expect((await container.info()).containerIp).toBe(address), {
          network: address,
        })
      })

      it('sets, reads and removes properties', async () => {
        await withContainer(async (container) => {
          await container.setProperty('colour', 'blue')
          expect(await container.properties()).toEqual({ colour: 'blue' })
          await container.removeProperty('colour')
          expect(await container.properties()).toEqual({})
          await expect(container.removeProperty('colour')).rejects.toThrow('property does not exist: colour')
        })
      })

      it('tells measurements and facts of many containers at once', async () => {
        await withContainer(async (container) => {
          const metrics = (await backend.bulkMetrics([container.handle, 'nosuch'])).get(container.handle)?.value
          expect(metrics?.ageMs).toBeGreaterThanOrEqual(0)
          expect((await backend.bulkInfo([container.handle])).get(container.handle)?.value?.state).toBe('active')
        })
      })
    })

    describe('api: processes', () => {
      it.each([0, 1, 7, 255])('tells that a process ended with %i', async (code) => {
        await withContainer(async (container) => {
          const { exit } = await runToEnd(container, commands.exit(code))
          expect(exit).toMatchObject({ exitCode: code, signal: null, isOutOfMemory: false })
        })
      })

      it('keeps standard output and standard error apart', async () => {
        await withContainer(async (container) => {
          expect((await runToEnd(container, commands.echo('to you'))).stdout.toString()).toBe('to you\n')
          const complained = await runToEnd(container, commands.complain('oh no'))
          expect([complained.stdout.toString(), complained.stderr]).toEqual(['', 'oh no\n'])
        })
      })

      it('passes standard input through unchanged, whatever the bytes', async () => {
        const bytes = randomBytes(1_500_000)
        await withContainer(async (container) => {
          const { exit, stdout } = await runToEnd(
            container,
            commands.cat(),
            Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]),
          )
          expect(exit.exitCode).toBe(0)
          expect(stdout.equals(bytes)).toBe(true)
        })
      })

      it('gives a process the environment of the container and its own, its own last', async () => {
        await withContainer(
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

      it('names a program that is not there', async () => {
        await withContainer(async (container) => {
          await expect(container.run({ path: 'nosuch-program' })).rejects.toThrow(ExecutableNotFoundError)
          await expect(container.run({ path: 'nosuch-program' })).rejects.toThrow('executable file not found in $PATH')
          expect(await container.processes()).toEqual([])
        })
      })

      it('names a user that is not there', async () => {
        await withContainer(async (container) => {
          await expect(container.run({ ...commands.exit(0), user: 'nosuch-user' })).rejects.toThrow(UserNotFoundError)
        })
      })

      it('refuses a process id that was used, also by one that has ended', async () => {
        await withContainer(async (container) => {
          await (await container.run({ ...commands.exit(0), id: 'one' })).wait()
          await expect(container.run({ ...commands.exit(0), id: 'one' })).rejects.toThrow(/already (in use|exists)/)
        })
      })

      it('lists processes with how they ended', async () => {
        await withContainer(async (container) => {
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

      it('delivers a signal a process handles, and says nothing can be sent to one that ended', async () => {
        await withContainer(async (container) => {
          const process = await container.run({ ...commands.trap(42), id: 'trap' })
          await waitForLog(container, 'trap', 'ready')
          await process.signal(SIGTERM)
          expect(await process.wait()).toMatchObject({ exitCode: 42, signal: null })
          await expect(process.signal(SIGTERM)).rejects.toThrow(ProcessNotFoundError)
        })
      })

      it('lets a waiter give up while the process runs on', async () => {
        await withContainer(async (container) => {
          const process = await container.run({ ...commands.forever(), id: 'long' })
          const giveUp = new AbortController()
          const waiting = process.wait(giveUp.signal)
          giveUp.abort(new Error('enough'))
          await expect(waiting).rejects.toThrow('enough')
          expect((await container.processes())[0]?.state).toBe('running')
        })
      })

      it('joins a running process and one that has ended', async () => {
        await withContainer(async (container) => {
          const first = await container.run({ ...commands.trap(5), id: 'shared' })
          await waitForLog(container, 'shared', 'ready')
          const second = await container.attach('shared', { stdout: new Sink() })
          await first.signal(SIGTERM)
          expect((await second.wait()).exitCode).toBe(5)
          expect((await (await container.attach('shared')).wait()).exitCode).toBe(5)
          await expect(container.attach('nosuch')).rejects.toThrow(ProcessNotFoundError)
        })
      })

      it('keeps what nobody read, with absolute offsets', async () => {
        await withContainer(async (container) => {
          await (await container.run({ ...commands.echo('kept for later'), id: 'echo' })).wait()
          const whole = await container.readLog('echo', 'stdout')
          expect(whole).toMatchObject({ stream: 'stdout', offset: 0, droppedBytes: 0 })
          expect(whole.data.toString()).toBe('kept for later\n')
          const rest = await container.readLog('echo', 'stdout', 5)
          expect([rest.offset, rest.data.toString()]).toEqual([5, 'for later\n'])
          expect((await container.readLog('echo', 'stdout', 15)).data.length).toBe(0)
          expect((await container.readLog('echo', 'stderr')).data.length).toBe(0)
          await expect(container.readLog('nosuch', 'stdout')).rejects.toThrow(ProcessNotFoundError)
        })
      })

      it('stops all processes and stays, stopped, usable for more', async () => {
        await withContainer(async (container) => {
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

      it('kills at once when asked to', async () => {
        await withContainer(async (container) => {
          const trap = await container.run({ ...commands.trap(9), id: 'trap' })
          await waitForLog(container, 'trap', 'ready')
          await container.stop({ kill: true })
          expect(await trap.wait()).toMatchObject({ exitCode: 137, signal: SIGKILL })
        })
      })
    })

    describe('api: files', () => {
      it('takes a tar in and gives it out again', async () => {
        const long = `${'deep/'.repeat(30)}file`
        const big = randomBytes(300_000)
        await withContainer(async (container) => {
          await container.streamIn({
            user: options.user,
            path: '/tmp/in',
            tar: tarOf({ 'a.txt': 'one', 'sub/b.txt': 'two', [long]: big, empty: '' }),
          })
          expect((await runToEnd(container, commands.show('/tmp/in/sub/b.txt'))).stdout.toString()).toBe('two')
          const inner = await filesOf(await container.streamOut({ user: options.user, path: '/tmp/in/' }))
          expect([...inner.keys()].toSorted()).toEqual(['a.txt', long, 'empty', 'sub/b.txt'].toSorted())
          expect(inner.get(long)?.equals(big)).toBe(true)
          const outer = await filesOf(await container.streamOut({ user: options.user, path: '/tmp/in' }))
          expect(outer.get('in/a.txt')?.toString()).toBe('one')
          const single = await filesOf(await container.streamOut({ user: options.user, path: '/tmp/in/a.txt' }))
          expect(single.get('a.txt')?.toString()).toBe('one')
        })
      })

      it('fails for a user that is not there, an archive cut short and a path that is not there', async () => {
        await withContainer(async (container) => {
          await expect(
            container.streamIn({ user: 'nosuch-user', path: '/tmp/x', tar: tarOf({ a: 'b' }) }),
          ).rejects.toThrow(UserNotFoundError)
          const parts: Buffer[] = []
          for await (const part of tarOf({ a: randomBytes(5000) })) parts.push(part as Buffer)
          const cut = Readable.from([Buffer.concat(parts).subarray(0, 2000)])
          await expect(container.streamIn({ user: options.user, path: '/tmp/x', tar: cut })).rejects.toThrow(
            StreamError,
          )
          const missing = async (): Promise<unknown> =>
            await filesOf(await container.streamOut({ user: options.user, path: '/nosuch/path' }))
          await expect(missing()).rejects.toThrow(StreamError)
        })
      })
    })

    describe('api: adoption', () => {
      it('finds a running process again after the backend died, and how it ended later', async () => {
        const container = await backend.create({ ...options.base, handle: 'adopted', properties: { mine: 'yes' } })
        await container.run({ ...commands.trap(23), id: 'survivor' })
        await waitForLog(container, 'survivor', 'ready')
        await (await container.run({ ...commands.exit(4), id: 'earlier' })).wait()
        const address = (await container.info()).containerIp

        const second = await underTest.reopen()
        expect((await second.recover()).adopted).toContain('adopted')
        const same = await second.lookup('adopted')
        expect(await same.info()).toMatchObject({ containerIp: address, properties: { mine: 'yes' } })
        expect((await (await same.attach('earlier')).wait()).exitCode).toBe(4)
        expect((await same.readLog('survivor', 'stdout')).data.toString()).toBe('ready\n')
        const survivor = await same.attach('survivor')
        await survivor.signal(SIGTERM)
        expect((await survivor.wait()).exitCode).toBe(23)
        await expect(second.create({ ...options.base, network: address })).rejects.toThrow(AlreadyInUseError)
        await second.destroy('adopted')
        await second.close()
        await backend.destroy('adopted', { ifExists: true })
      })
    })

    describe('kernel: processes', () => {
      kernel("runs as the user asked, with the user's groups and home", async () => {
        await withContainer(async (container) => {
          const { stdout } = await runToEnd(container, {
            path: '/bin/sh',
            args: ['-c', 'id -u; pwd; echo $HOME; echo $USER'],
            user: options.user,
          })
          const [uid, pwd, home, name] = stdout.toString().trim().split('\n')
          expect(Number(uid)).toBeGreaterThan(0)
          expect([pwd, name]).toEqual([home, options.user])
        })
      })

      kernel('makes a working directory that is missing, owned by the user', async () => {
        await withContainer(async (container) => {
          const script = 'pwd; touch here && echo writable'
          const { stdout } = await runToEnd(container, {
            path: '/bin/sh',
            args: ['-c', script],
            user: options.user,
            dir: '/srv/a/b',
          })
          expect(stdout.toString()).toBe('/srv/a/b\nwritable\n')
        })
      })

      kernel('gives a terminal of the asked size when asked for one', async () => {
        await withContainer(async (container) => {
          const spec = {
            path: '/bin/sh',
            args: ['-c', 'stty size; tty -s && echo terminal'],
            tty: { columns: 100, rows: 40 },
          }
          const { stdout } = await runToEnd(container, spec)
          expect(stdout.toString()).toBe('40 100\r\nterminal\r\n')
        })
      })

      kernel('sets resource limits', async () => {
        await withContainer(async (container) => {
          const { stdout } = await runToEnd(container, {
            path: '/bin/sh',
            args: ['-c', 'ulimit -n'],
            rlimits: { nofile: 123 },
          })
          expect(stdout.toString()).toBe('123\n')
        })
      })

      kernel(
        'loses nothing of a process that writes much faster than it is read, and counts what its log drops',
        async () => {
          await withContainer(async (container) => {
            const bytes = 16 * 1024 * 1024
            const { exit, stdout } = await runToEnd(container, {
              path: '/bin/sh',
              args: ['-c', `head -c ${bytes} /dev/zero`],
              id: 'flood',
            })
            expect([exit.exitCode, stdout.length]).toEqual([0, bytes])
            const log = await container.readLog('flood', 'stdout')
            expect(log.offset + log.data.length).toBe(bytes)
            expect(log.droppedBytes).toBe(log.offset)
            expect(log.data.length).toBeLessThan(4 * 1024 * 1024)
          })
        },
      )

      kernel('says when the memory limit killed a process', async () => {
        await withContainer(
          async (container) => {
            const hog = { path: '/bin/sh', args: ['-c', 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'] }
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

      kernel('holds a process limit, and the disk limit of what is written', async () => {
        await withContainer(
          async (container) => {
            const many = { path: '/bin/sh', args: ['-c', 'for i in $(seq 60); do sleep 30 & done; wait'], id: 'many' }
            const { exit, stderr } = await runToEnd(container, many)
            expect(exit.exitCode).not.toBe(0)
            expect(stderr).toMatch(/fork/)
            await container.stop({ kill: true })
            const fill = await runToEnd(container, {
              path: '/bin/sh',
              args: ['-c', 'head -c 40000000 /dev/zero > /tmp/fill'],
            })
            expect(fill.exit.exitCode).not.toBe(0)
            expect((await container.metrics()).disk.totalBytes).toBeLessThan(21 * 1024 * 1024)
          },
          { limits: { pids: { max: 32 }, disk: { byteHard: 20 * 1024 * 1024 } } },
        )
      })
    })
  })
}
