import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf, type LayerEntry } from '@croft/oci'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generatedLayer } from './generated-layer.js'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'generated-layer-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const fileOf = (content: string): LayerEntry[] => [{ kind: 'file', path: '/layers/file', content }]

describe('a layer of a few files', () => {
  it('is made once, and of other files is another one', async () => {
    const spool = join(folder, 'spool')
    const layer = await generatedLayer(fileOf('one'), spool)
    expect(await generatedLayer(fileOf('one'), spool)).toBe(layer)
    expect((await generatedLayer(fileOf('two'), spool)).blob.diffId).not.toBe(layer.blob.diffId)
    expect(existsSync(spool)).toBe(false)
  })

  it('may be as large as bills of materials are', async () => {
    const spool = join(folder, 'spool')
    const { blob, tar } = await generatedLayer(fileOf('{"components":[]}'.repeat(600_000)), spool)
    expect(digestOf(tar)).toBe(blob.diffId)
    expect(digestOf(readFileSync(spool))).toBe(blob.descriptor.digest)
  })
})
