import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import type { Container } from '@croft/garden-api'
import { runToEnd, Sink, waitForLog } from '@croft/garden-api/conformance'
import { bareEnv, run, waitFor } from '@croft/kit'
import { image, makeHome, root, sh, type TestHome } from './support/backend-rig.js'
import { settledTraces, tracesOf } from './support/traces.js'

type Operation = 'create' | 'destroy' | 'run' | 'stream-in'
/** `gone`: finished or undone by the next daemon; `runs`: adopted by it. */
type Outcome = 'gone' | 'runs'

/** Where a daemon is killed with SIGKILL, in the order in which it passes. */
const POINTS: readonly (readonly [Operation, string, Outcome])[] = [
  ['create', 'container-has-slot', 'gone'],
  ['create', 'container-folder-made', 'gone'],
  ['create', 'container-spec-written', 'gone'],
  ['create', 'container-journaled', 'gone'],
  ['create', 'container-disk-made', 'gone'],
  ['create', 'container-files-made', 'gone'],
  ['create', 'container-shim-started', 'gone'],
  ['create', 'container-shim-journaled', 'gone'],
  ['create', 'container-stands', 'gone'],
  ['create', 'container-linked', 'gone'],
  ['create', 'container-connected', 'gone'],
  ['create', 'container-created', 'runs'],
  ['run', 'process-asked', 'runs'],
  ['run', 'process-started', 'runs'],
  ['run', 'process-output', 'runs'],
  ['run', 'process-exited', 'runs'],
  ['stream-in', 'process-asked', 'runs'],
  ['stream-in', 'process-started', 'runs'],
  ['stream-in', 'process-fed', 'runs'],
  ['stream-in', 'process-exited', 'runs'],
  ['destroy', 'container-destroy-asked', 'runs'],
  ['destroy', 'container-destroying', 'gone'],
  ['destroy', 'container-init-killed', 'gone'],
  ['destroy', 'container-killed', 'gone'],
  ['destroy', 'container-cgroups-removed', 'gone'],
  ['destroy', 'container-unknown-to-runc', 'gone'],
  ['destroy', 'container-removed', 'gone'],
  ['destroy', 'container-files-go', 'gone'],
]
/** The daemon starts a process in the neighbour first. */
const PASSED_BEFORE = ['process-asked', 'process-started']
const SHORT = [
  'container-spec-written',
  'container-shim-started',
  'process-started',
  'process-output',
  'process-fed',
  'container-init-killed',
  'container-files-go',
]
const points =
  process.env['CROFT_TEST_LONG'] === undefined ? POINTS.filter(([, point]) => SHORT.includes(point)) : POINTS

/** Writes a number every few milliseconds, and starts no process for it: the traces stand still. */
const COUNT = 'exec 3<> <(:); for ((n = 0; ; n++)); do echo $n; read -t 0.02 -u 3; done'

describe('defect 4: a daemon killed in the middle of', () => {
  let home: TestHome
  let before: string[]
  let ticker: number | null | undefined

  const withBackend = async <T>(work: (backend: LinuxBackend) => Promise<T>): Promise<T> => {
    const backend = await home.open()
    try {
      await backend.recover()
      return await work(backend)
    } finally {
      await backend.destroy('victim', { ifExists: true }) // for the next, if this one failed
      await backend.close()
    }
  }

  beforeAll(async () => {
    home = await makeHome()
    const gate = join(home.dir, 'outside/gate')
    await mkdir(gate, { recursive: true })
    await withBackend(async (backend) => {
      const bindMounts = [{ srcPath: gate, dstPath: '/gate', mode: 'ro' as const }]
      const neighbour = await backend.create({ ...image, handle: 'neighbour', bindMounts })
      await neighbour.run({ path: '/bin/bash', args: ['-c', COUNT], id: 'ticker' })
      await waitForLog(neighbour, 'ticker', '1\n')
      ticker = (await neighbour.processes())[0]?.pid
    })
    before = await tracesOf(home)
  })
  afterAll(async () => await home.clean())

  const killAt = async (operation: Operation, point: string, number: number): Promise<void> => {
    const { images: _images, logger: _logger, ...options } = home.options
    const task = JSON.stringify({ operation, options, root, number })
    const daemon = run(process.execPath, [join(import.meta.dirname, 'support/killed-daemon.mjs'), task], {
      timeoutMs: 20_000,
      env: bareEnv({ CROFT_FAILPOINT: `${point}:${PASSED_BEFORE.includes(point) ? 2 : 1}` }),
    })
    await expect(daemon).rejects.toThrow('killed by SIGKILL')
  }

  /** The neighbour's processes ran through it all: the same one, its output without a gap, and how another ended since. */
  const expectNothingLost = async (backend: LinuxBackend, number: number): Promise<void> => {
    const neighbour = await backend.lookup('neighbour')
    expect((await neighbour.processes()).find(({ id }) => id === 'ticker')).toMatchObject({
      pid: ticker,
      state: 'running',
    })
    const stdout = new Sink()
    const process = await neighbour.attach('ticker', { stdout })
    await waitFor(() => stdout.text.includes('\n'), { what: 'output of a process attached to', timeoutMs: 5_000 })
    process.detach()
    const { data, droppedBytes } = await neighbour.readLog('ticker', 'stdout')
    const numbers = data.toString().trimEnd().split('\n').map(Number)
    expect([droppedBytes, numbers]).toEqual([0, numbers.map((_, index) => index)])
    const job = await neighbour.attach(`job-${number}`)
    expect(await job.wait()).toMatchObject({ exitCode: 7, signal: null, isOutOfMemory: false })
    expect((await neighbour.readLog(job.id, 'stdout')).data.toString()).toBe('before\nafter\n')
  }

  it.each(points)(
    'a %s at %s leaves nothing and loses nothing: its container is %s',
    async (operation, point, outcome) => {
      const number = POINTS.findIndex((row) => row[0] === operation && row[1] === point)
      await killAt(operation, point, number)
      await writeFile(join(home.dir, 'outside/gate', String(number)), '')
      await withBackend(async (backend) => {
        await expectNothingLost(backend, number)
        const handles = (await backend.containers()).map((container) => container.handle)
        expect(handles.toSorted()).toEqual(outcome === 'gone' ? ['neighbour'] : ['neighbour', 'victim'])
        if (outcome === 'runs') {
          const victim = await backend.lookup('victim')
          if (operation === 'run' && point !== 'process-asked') {
            const short = await victim.attach('short')
            expect((await short.wait()).exitCode).toBe(3)
            expect((await victim.readLog('short', 'stdout')).data.toString()).toBe('out\n')
          }
          expect((await runToEnd(victim, sh('echo fine'))).stdout.toString()).toBe('fine\n')
          if (operation === 'stream-in') await waitUntilAlone(victim)
          await backend.destroy('victim')
        }
        expect(await settledTraces(home, before)).toEqual(before)
      })
    },
  )

  /** The unpacking ends with whom it was for. */
  const waitUntilAlone = async (container: Container): Promise<void> => {
    await waitFor(async () => (await container.metrics()).pids.current === 1, {
      what: 'the container to be down to its first process',
      timeoutMs: 5_000,
    })
  }
})
