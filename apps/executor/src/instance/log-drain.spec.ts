import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Container, LogChunk } from '@croft/garden-api'
import { FakeClock, silentLogger } from '@croft/kit'
import { LAST_LINES, LogDrain, MAX_FINAL_LINES, MAX_LINES_PER_PASS } from './log-drain.js'
import { LogStore, newestLinesAt } from './log-store.js'

/** A container whose one process has written `stdout`, of which only what begins at `keptFrom` is still there. */
class Ring {
  stdout = Buffer.alloc(0)
  keptFrom = 0

  get container(): Container {
    const readLog = async (_id: string, stream: 'stdout' | 'stderr', from = 0): Promise<LogChunk> => {
      if (stream === 'stderr') return { stream, offset: from, data: Buffer.alloc(0), droppedBytes: 0 }
      const offset = Math.max(from, this.keptFrom)
      return { stream, offset, data: this.stdout.subarray(offset), droppedBytes: offset - from }
    }
    return { handle: 'h-1', readLog } as unknown as Container
  }
  write(text: string): void {
    this.stdout = Buffer.concat([this.stdout, Buffer.from(text)])
  }
}

let folder = ''
let store: LogStore
let ring: Ring
const drainOf = (): LogDrain =>
  new LogDrain({
    store,
    container: ring.container,
    processId: 'main',
    appId: 'app',
    instance: 'web.1',
    clock: new FakeClock(),
    logger: silentLogger,
  })
const kept = async (): Promise<string[]> => (await store.read('app')).map(({ line }) => line)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'croft-log-drain-'))
  store = new LogStore(folder)
  ring = new Ring()
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('draining the output of a process', () => {
  it('goes on where the drain before it got to', async () => {
    ring.write('one\ntwo\nthr')
    await drainOf().flush()
    ring.write('ee\nfour\n')
    const second = drainOf()
    await second.start(true)
    await second.finish()
    expect(await kept()).toEqual(['one', 'two', 'three', 'four'])
  })
  it('says once how much was lost, also to the drain after it', async () => {
    ring.write('x'.repeat(100))
    ring.keptFrom = 60
    await drainOf().flush()
    const second = drainOf()
    await second.start(true)
    await second.flush()
    ring.write('\n')
    await second.finish()
    expect(await kept()).toEqual(['60 bytes of stdout were written faster than they could be kept', 'x'.repeat(40)])
  })
  it('takes over no more than its share of a flood in one pass', async () => {
    ring.write('y\n'.repeat(MAX_LINES_PER_PASS * 3))
    await drainOf().flush()
    expect(await kept()).toHaveLength(MAX_LINES_PER_PASS)
  })
  it('keeps the newest of a flood when the process has ended, the unfinished line too, and says what it left out', async () => {
    ring.write(Array.from({ length: MAX_FINAL_LINES + 10 }, (_, n) => `line ${n}\n`).join(''))
    ring.write('the end')
    const drain = drainOf()
    await drain.finish()
    const lines = await kept()
    expect(lines[0]).toBe('70 bytes of stdout were written faster than they could be kept')
    expect(lines.slice(1)).toHaveLength(MAX_FINAL_LINES + 1)
    expect(lines.at(-1)).toBe('the end')
    expect(drain.lastLines).toHaveLength(LAST_LINES)
    expect(drain.lastLines.at(-1)).toBe('the end')
  })
  it('cuts what it shows of long lines', async () => {
    ring.write(`${'x'.repeat(9_000)}\n`)
    const drain = drainOf()
    await drain.flush()
    expect(drain.lastLines[0]).toHaveLength(1_000)
    expect((await kept())[0]).toHaveLength(9_000)
  })
})

describe('the newest lines of a piece', () => {
  it.each([
    ['a\nb\nc\n', 2, 'b\nc\n'],
    ['a\nb\nc', 1, 'b\nc'],
    ['a\nb\n', 5, 'a\nb\n'],
    ['', 3, ''],
    ['no end', 1, 'no end'],
  ])('of %j, %i, begin at %j', (text, count, rest) => {
    expect(
      Buffer.from(text)
        .subarray(newestLinesAt(Buffer.from(text), count))
        .toString(),
    ).toBe(rest)
  })
})
