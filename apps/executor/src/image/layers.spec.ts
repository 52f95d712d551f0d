import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger, waitFor } from '@croft/kit'
import { compressLayer, digestOf, mediaTypes, type LayerBlob } from '@croft/oci'
import { pack } from 'tar-stream'
import { LayerStore } from './layers.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layers-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

const open = (bootId = 'this boot'): Promise<LayerStore> => LayerStore.open({ folder, bootId, logger: silentLogger })
const descriptor = { mediaType: mediaTypes.layerZstd, digest: digestOf('blob'), size: 4 }
const diffId = digestOf('a layer')

async function adopt(store: LayerStore): Promise<void> {
  const draft = await store.draft()
  writeFileSync(join(draft, 'file'), 'content')
  await store.adopt(diffId, descriptor, draft)
}

async function blobWith(name: string): Promise<LayerBlob> {
  const tar = pack()
  tar.entry({ name, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }, 'content')
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return compressLayer(Buffer.concat(chunks), join(folder, 'spool'))
}

describe('the layers of a node', () => {
  it('are trees adopted by rename, known by their digest and their blob', async () => {
    const store = await open()
    expect(store.has(diffId)).toBe(false)
    await adopt(store)
    expect(readFileSync(join(store.path(diffId), 'file'), 'utf8')).toBe('content')
    expect(store.blobOf(diffId)).toEqual(descriptor)
    expect((await open()).has(diffId)).toBe(true)
  })

  it('are written once: of two builds with the same layer one keeps its tree', async () => {
    const store = await open()
    await Promise.all([adopt(store), adopt(store), adopt(store)])
    expect(store.has(diffId)).toBe(true)
    await waitFor(() => readdirSync(folder).filter((name) => name.startsWith('.new-')).length === 0, {
      what: 'the other trees to be removed',
      timeoutMs: 5_000,
    })
  })

  it('do not count after a power cut before they were on disk, nor without a record', async () => {
    await adopt(await open())
    const after = await open('another boot')
    expect(after.has(diffId)).toBe(false)
    await waitFor(() => !existsSync(after.path(diffId)), { what: 'the tree to be removed', timeoutMs: 5_000 })
    mkdirSync(join(folder, 'f'.repeat(64)))
    expect((await open()).has(`sha256:${'f'.repeat(64)}` as typeof diffId)).toBe(false)
  })

  it('are pulled once for all who ask, and verified', async () => {
    const store = await open()
    const blob = await blobWith('layers/x')
    let pulls = 0
    const source = (): Promise<Readable> => {
      pulls += 1
      return Promise.resolve(Readable.from([blob.open()]))
    }
    await Promise.all([
      store.pull(blob.diffId, blob.descriptor, source),
      store.pull(blob.diffId, blob.descriptor, source),
    ])
    expect(pulls).toBe(1)
    expect(readFileSync(join(store.path(blob.diffId), 'layers/x'), 'utf8')).toBe('content')
  })

  it('that nobody needs or used for long go, and are pulled again when somebody does', async () => {
    const blob = await blobWith('x')
    const source = (): Promise<Readable> => Promise.resolve(Readable.from([blob.open()]))
    const first = await open()
    await first.pull(blob.diffId, blob.descriptor, source)
    expect(await first.collect(new Set(), 60_000)).toBe(0) // just made
    const store = await open()
    const record = join(folder, `${blob.diffId.slice(7)}.json`)
    utimesSync(record, 0, 0)
    expect(await store.collect(new Set([blob.diffId]), 60_000)).toBe(0) // an instance runs it
    expect(store.has(blob.diffId)).toBe(true) // a build asks for it
    expect(await store.collect(new Set(), 60_000)).toBe(0)
    await waitFor(() => statSync(record).mtimeMs > 0, { what: 'the use to be written down', timeoutMs: 5_000 })
    expect(await (await open()).collect(new Set(), 60_000)).toBe(0)
    utimesSync(record, 0, 0)
    const later = await open()
    expect(await later.collect(new Set(), 60_000)).toBe(1)
    expect([later.has(blob.diffId), existsSync(later.path(blob.diffId)), existsSync(record)]).toEqual([
      false,
      false,
      false,
    ])
    await later.pull(blob.diffId, blob.descriptor, source)
    expect(readFileSync(join(later.path(blob.diffId), 'x'), 'utf8')).toBe('content')
  })

  it.each(['another blob', 'another tar'])('refuse %s than was promised, and keep nothing of it', async (what) => {
    const store = await open()
    const [blob, other] = [await blobWith('x'), await blobWith('y')]
    const content = what === 'another blob' ? other : blob
    const promised = what === 'another blob' ? blob.diffId : other.diffId
    const pulling = store.pull(promised, blob.descriptor, () => Promise.resolve(Readable.from([content.open()])))
    await expect(pulling).rejects.toThrow(/does not match its digest|bytes/)
    expect(store.has(promised)).toBe(false)
  })
})
