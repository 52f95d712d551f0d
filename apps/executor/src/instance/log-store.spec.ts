import { appendFile, mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cutLines, LogStore, MAX_LINE_BYTES, type KeptLine } from './log-store.js'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'croft-log-store-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const line = (text: string, end: number): KeptLine => ({
  at: '2026-01-01T00:00:00.000Z',
  instance: 'web.1',
  stream: 'stdout',
  line: text,
  handle: 'h-1',
  end,
})

describe('cutting output into lines', () => {
  it('keeps an unfinished line for the next time, unless it is the last', () => {
    expect(cutLines(Buffer.from('a\nb'), 10, false)).toEqual([{ text: 'a', end: 12 }])
    expect(cutLines(Buffer.from('a\nb'), 10, true)).toEqual([
      { text: 'a', end: 12 },
      { text: 'b', end: 13 },
    ])
  })
  it('cuts a line without end into pieces', () => {
    expect(cutLines(Buffer.alloc(MAX_LINE_BYTES + 5, 'x'), 0, false).map(({ end }) => end)).toEqual([MAX_LINE_BYTES])
  })
  it('loses and repeats no byte, however the stream is read', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 20, unit: 'grapheme-ascii' })),
        fc.array(fc.nat(40), { minLength: 1 }),
        (texts, sizes) => {
          const stream = Buffer.from(
            texts.map((text) => `${text.replaceAll('\n', '').replaceAll('\r', '')}\n`).join(''),
          )
          const seen: string[] = []
          let offset = 0
          for (let turn = 0; offset < stream.length; turn += 1) {
            const lines = cutLines(
              stream.subarray(offset, offset + 1 + (sizes[turn % sizes.length] ?? 0) + turn),
              offset,
              false,
            )
            seen.push(...lines.map(({ text }) => text))
            offset = lines.at(-1)?.end ?? offset
          }
          expect(seen).toEqual(texts.map((text) => text.replaceAll('\n', '').replaceAll('\r', '')))
        },
      ),
    )
  })
})

describe('log store', () => {
  it('gives back what was appended, also to another store over the same folder', async () => {
    await new LogStore(folder).append('app', [line('one', 4), line('two', 8)])
    expect((await new LogStore(folder).read('app')).map((kept) => kept.line)).toEqual(['one', 'two'])
    expect(await new LogStore(folder).lastOffsets('app', 'h-1')).toEqual({ stdout: 8, stderr: 0 })
    expect(await new LogStore(folder).lastOffsets('app', 'h-2')).toEqual({ stdout: 0, stderr: 0 })
  })
  it('passes over a line that a crash cut off', async () => {
    await new LogStore(folder).append('app', [line('one', 4)])
    await appendFile(join(folder, 'app/current.jsonl'), '{"at":"2026')
    expect((await new LogStore(folder).read('app')).map((kept) => kept.line)).toEqual(['one'])
  })
  it('loses nothing of what comes after a line that a crash cut off', async () => {
    await new LogStore(folder).append('app', [line('one', 4)])
    await appendFile(join(folder, 'app/current.jsonl'), '{"at":"2026')
    await new LogStore(folder).append('app', [line('two', 8)])
    expect((await new LogStore(folder).read('app')).map((kept) => kept.line)).toEqual(['one', 'two'])
  })
  it('forgets the apps that have said nothing for long, and no other', async () => {
    const store = new LogStore(folder)
    await store.append('old', [line('one', 4)])
    await store.append('new', [line('one', 4)])
    await utimes(join(folder, 'old/current.jsonl'), 1, 1)
    expect(await store.sweep(Date.now())).toEqual(['old'])
    expect(await store.read('old')).toEqual([])
    expect(await store.read('new')).toHaveLength(1)
  })
  it('keeps the newest within its budget', async () => {
    const store = new LogStore(folder, 4_000)
    for (let n = 0; n < 100; n += 1) await store.append('app', [line(`line ${n}`, n)])
    const kept = await store.read('app')
    expect(kept.at(-1)?.line).toBe('line 99')
    expect(kept.length).toBeGreaterThan(10)
    expect(JSON.stringify(kept).length).toBeLessThan(5_000)
  })
  it('tells those who follow an app, and nobody else', async () => {
    const store = new LogStore(folder)
    const seen: string[] = []
    const over = new AbortController()
    await store.tail('app', (kept) => seen.push(kept.line), over.signal)
    await store.append('app', [line('one', 1)])
    await store.append('other', [line('x', 1)])
    over.abort()
    await store.append('app', [line('two', 2)])
    expect(seen).toEqual(['one'])
  })
  it('gives a follower each line once, also those appended while it reads', async () => {
    const store = new LogStore(folder)
    const later: string[] = []
    const over = new AbortController()
    const before = store.append('app', [line('one', 1)])
    const tail = store.tail('app', (kept) => later.push(kept.line), over.signal)
    await Promise.all([before, tail, store.append('app', [line('two', 2)])])
    over.abort()
    expect((await tail).map((kept) => kept.line)).toEqual(['one'])
    expect(later).toEqual(['two'])
  })
})
