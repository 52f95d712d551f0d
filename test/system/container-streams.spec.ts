import { setTimeout as later } from 'node:timers/promises'
import { Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import type { Container } from '@croft/garden-api'
import { runToEnd, Sink, waitForLog } from '@croft/garden-api/conformance'
import { image, makeHome, sh, type TestHome } from './support/backend-rig.js'

const isLong = process.env['CROFT_TEST_LONG'] === '1'
const MIB = 1024 * 1024

/** Takes a piece every so often, however fast they come. */
class SlowSink extends Writable {
  size = 0
  constructor(private readonly everyMs: number) {
    super({ highWaterMark: 64 * 1024 })
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.size += chunk.length
    void later(this.everyMs).then(done)
  }
}

describe('what processes write', () => {
  let home: TestHome
  let backend: LinuxBackend
  let container: Container

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
    container = await backend.create({ ...image, handle: 'writer' })
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  it('reaches a slow reader to the last byte', async () => {
    const bytes = (isLong ? 50 : 8) * MIB
    const slow = new SlowSink(2)
    const process = await container.run(sh(`head -c ${bytes} /dev/zero`), { stdout: slow })
    expect((await process.wait()).exitCode).toBe(0)
    await new Promise((resolve) => slow.end(resolve))
    expect(slow.size).toBe(bytes)
  })

  it('is counted to a reader who comes too late for it', async () => {
    const bytes = 50 * MIB
    const script = `head -c ${bytes} /dev/zero; echo written >&2; exec sleep 1000`
    const process = await container.run({ ...sh(script), id: 'unread' })
    const complaint = async (): Promise<string> => (await container.readLog('unread', 'stderr')).data.toString()
    await expect.poll(complaint, { timeout: 20_000 }).toBe('written\n')
    const [stdout, dropped] = [new Sink(), [] as unknown[]]
    const reader = await container.attach(
      'unread',
      { stdout, onDropped: (...what) => dropped.push(what) },
      { kind: 'offset', stdout: 5 },
    )
    await expect.poll(() => stdout.bytes.length).toBeGreaterThan(MIB)
    await process.signal(9)
    await reader.wait()
    expect(dropped).toEqual([['stdout', bytes - 5 - stdout.bytes.length]])
  })

  it('is not what its end waits for: a grandchild that holds the output, or writes for ever', async () => {
    const started = performance.now()
    const held = await runToEnd(container, sh('echo mine; sleep 6 & exit 3'))
    expect(held).toMatchObject({ exit: { exitCode: 3 }, stdout: Buffer.from('mine\n') })
    const noisy = await runToEnd(container, sh('(while :; do echo noise; done) & echo mine; exit 4'))
    expect([noisy.exit.exitCode, noisy.stdout.toString()]).toEqual([4, expect.stringContaining('mine\n')])
    expect(performance.now() - started).toBeLessThan(2000)
    await container.stop({ kill: true })
  })

  it('is all there, with how it ended, when it ends at once', async () => {
    for (let round = 0; round < (isLong ? 100 : 20); round++) {
      const { exit, stdout, stderr } = await runToEnd(
        container,
        sh(`echo out ${round}; echo err >&2; exit ${round % 7}`),
      )
      expect([exit.exitCode, stdout.toString(), stderr]).toEqual([round % 7, `out ${round}\n`, 'err\n'])
    }
  })

  it('is all there from a terminal too', async () => {
    for (let round = 0; round < (isLong ? 100 : 20); round++) {
      const { stdout } = await runToEnd(container, { ...sh('seq 500'), tty: true })
      expect(stdout.toString().split('\r\n').length).toBe(501)
    }
  })

  it('goes to everybody who has joined, from where each of them asked', async () => {
    const process = await container.run({
      ...sh('echo early; exec sleep 1000'),
      id: 'joined',
    })
    await waitForLog(container, 'joined', 'early')
    const sinks = Array.from({ length: 6 }, () => ({ stdout: new Sink(), stderr: new Sink() }))
    const joined = await Promise.all(
      sinks.map(
        async (io, index) =>
          await container.attach('joined', io, index < 3 ? { kind: 'now' } : { kind: 'offset', stdout: index - 3 }),
      ),
    )
    await process.signal(9)
    expect((await Promise.all(joined.map(async (one) => await one.wait()))).map((exit) => exit.exitCode)).toEqual(
      Array.from({ length: 6 }, () => 137),
    )
    expect(sinks.map((io) => io.stdout.text)).toEqual(['', '', '', 'early\n', 'arly\n', 'rly\n'])
  })
})
