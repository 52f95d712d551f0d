import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { constants, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { digestOf } from './digest.js'
import { FrameCutter } from './frame-cutter.js'
import { mediaTypes } from './media-types.js'
import { unpackBlob } from './unpack-blob.js'
import { ZstdFrames } from './zstd-frames.js'

function skippable(content: Buffer, kind = 0): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(0x184d2a50 + kind)
  header.writeUInt32LE(content.length, 4)
  return Buffer.concat([header, content])
}
function frame(content: Buffer, hasChecksum: boolean): Buffer {
  return zstdCompressSync(content, { params: { [constants.ZSTD_c_checksumFlag]: hasChecksum ? 1 : 0 } })
}
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  fc.integer({ min: 1, max: 400_000 }).map((length) => Buffer.alloc(length, 'a')), // a block of one byte repeated
  fc
    .tuple(fc.uint8Array({ minLength: 300, maxLength: 300 }), fc.integer({ min: 1, max: 700 }))
    .map(([array, times]) => {
      return Buffer.concat(
        Array.from({ length: times }, (_, at) => Buffer.concat([Buffer.from(array), Buffer.from([at])])),
      )
    }),
)
const part = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(bytes, fc.boolean()).map(([content, sum]) => ({ content, raw: frame(content, sum) })),
  },
  fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.nat(15)).map(([array, kind]) => {
    return { content: Buffer.alloc(0), raw: skippable(Buffer.from(array), kind) }
  }),
)

/** A stream in chunks that end at these places. */
function chunksOf(stream: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set([...places.map((place) => place % (stream.length + 1)), stream.length])].toSorted(
    (a, b) => a - b,
  )
  return ends.map((end, at) => stream.subarray(at === 0 ? 0 : ends[at - 1], end)).filter((chunk) => chunk.length > 0)
}

async function decompressed(chunks: readonly Buffer[]): Promise<Buffer> {
  const found: Buffer[] = []
  await pipeline(Readable.from(chunks), new ZstdFrames(), async (all) => {
    for await (const chunk of all) found.push(chunk as Buffer)
  })
  return Buffer.concat(found)
}

describe('a zstd stream', () => {
  it('is decompressed whatever its frames, skipped ones among them, and however its bytes arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (parts, places) => {
          const stream = Buffer.concat(parts.map(({ raw }) => raw))
          const cutter = new FrameCutter()
          const pieces = chunksOf(stream, places).flatMap((chunk) => cutter.cut(chunk))
          expect(Buffer.concat(pieces).equals(stream)).toBe(true)
          // each frame's end is the end of a piece
          const ends = new Set(
            pieces.reduce<number[]>((sums, piece) => [...sums, (sums.at(-1) ?? 0) + piece.length], []),
          )
          let end = 0
          for (const { raw } of parts) expect(ends).toContain((end += raw.length))
          expect(
            (await decompressed(chunksOf(stream, places))).equals(Buffer.concat(parts.map(({ content }) => content))),
          ).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('of one frame that does not tell its size is read as well', async () => {
    const empty = Buffer.from('28b52ffd0000010000', 'hex')
    expect((await decompressed([Buffer.concat([empty, frame(Buffer.from('x'), true)])])).toString()).toBe('x')
  })

  it.each([
    ['that is cut off', frame(Buffer.alloc(100_000, 'abc'), true).subarray(0, -2)],
    ['with something else behind it', Buffer.concat([frame(Buffer.from('x'), false), Buffer.from('and more')])],
    ['that is none', Buffer.from('no zstd at all')],
  ])('%s is refused', async (_what, stream) => {
    await expect(decompressed([stream])).rejects.toThrow()
  })

  it('of a frame for each piece of a layer unpacks to the layer', async () => {
    const tar = pack()
    for (const name of ['a', 'b']) tar.entry({ name }, name.repeat(3_000))
    tar.finalize()
    const layer = await buffer(tar)
    const pieces = Array.from({ length: Math.ceil(layer.length / 1_000) }, (_, at) =>
      layer.subarray(at * 1_000, (at + 1) * 1_000),
    )
    const blob = Buffer.concat([
      ...pieces.map((piece) => frame(piece, false)),
      skippable(Buffer.from('a table of contents')),
    ])
    const root = await mkdtemp(join(tmpdir(), 'zstd-frames-'))
    try {
      const descriptor = { mediaType: mediaTypes.layerZstd, digest: digestOf(blob), size: blob.length }
      await unpackBlob(Readable.from([blob]), { descriptor, diffId: digestOf(layer) }, root)
      expect(await readFile(join(root, 'b'), 'utf8')).toBe('b'.repeat(3_000))
    } finally {
      await rm(root, { recursive: true })
    }
  })

  it('is not read faster than it is taken', async () => {
    const frames = new ZstdFrames()
    const content = Buffer.alloc(64 * 1024 * 1024)
    frames.write(frame(content, true))
    await new Promise((resolve) => setImmediate(resolve))
    expect(frames.readableLength).toBeLessThan(1024 * 1024)
    frames.end()
    let read = 0
    for await (const chunk of frames) read += (chunk as Buffer).length
    expect(read).toBe(content.length)
  })
})
