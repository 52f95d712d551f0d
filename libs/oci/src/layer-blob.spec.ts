import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from './digest.js'
import { compressLayer, type LayerBlob } from './layer-blob.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oci-blob-'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

const piecesOf = (content: Buffer, size: number): Readable =>
  Readable.from(
    Array.from({ length: Math.ceil(content.length / size) }, (_, at) => content.subarray(at * size, (at + 1) * size)),
  )

async function bytesOf(blob: LayerBlob): Promise<Buffer> {
  const opened = blob.open()
  if (Buffer.isBuffer(opened)) return opened
  const chunks: Buffer[] = []
  for await (const chunk of opened) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

describe('a compressed layer', () => {
  it.each([
    ['small, in memory', 100_000],
    ['large, through a file', 9_500_000],
  ])('%s: holds the tar, knows both digests, and is the same however its bytes arrive', async (_what, bytes) => {
    const tar = Buffer.concat([randomBytes(bytes / 2), Buffer.alloc(bytes / 2, 'text ')])
    const blobs = await Promise.all(
      [4096, 65_537, bytes].map((size, at) => compressLayer(piecesOf(tar, size), join(folder, `${bytes}-${at}`))),
    )
    for (const blob of blobs) {
      expect(blob.diffId).toBe(digestOf(tar))
      expect(blob.tarBytes).toBe(bytes)
      const stored = await bytesOf(blob)
      expect(stored.length).toBe(blob.descriptor.size)
      expect(digestOf(stored)).toBe(blob.descriptor.digest)
      expect(zstdDecompressSync(stored).equals(tar)).toBe(true)
    }
    expect(new Set(blobs.map(({ descriptor }) => descriptor.digest)).size).toBe(1)
  })

  it('of any size fails when its tar breaks off, and nothing of it goes on', async () => {
    const open = new Set<Readable>()
    for (const pieces of [1, 10, 24]) {
      async function* breaking(): AsyncGenerator<Buffer> {
        for (let at = 0; at < pieces; at += 1) yield randomBytes(1024 * 1024)
        throw new Error('tar broke off')
      }
      const tar = Readable.from(breaking())
      open.add(tar)
      await expect(compressLayer(tar, join(folder, `breaks-${pieces}`))).rejects.toThrow('tar broke off')
    }
    expect([...open].map(({ destroyed }) => destroyed)).toEqual([true, true, true])
  })

  it('fails when the tar fails, and leaves a file that its folder takes along', async () => {
    const broken = new Readable({
      read() {
        this.destroy(new Error('tar failed'))
      },
    })
    await expect(compressLayer(broken, join(folder, 'broken'))).rejects.toThrow('tar failed')
    expect(existsSync(join(folder, 'broken'))).toBe(false)
  })
})
