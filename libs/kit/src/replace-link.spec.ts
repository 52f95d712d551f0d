import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { replaceLink } from './replace-link.js'

const folder = mkdtempSync(join(tmpdir(), 'replace-link-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('replacing a link', () => {
  it('makes it with the folders above, then leads elsewhere, and leaves nothing beside it', async () => {
    const link = join(folder, 'a/b/link')
    await replaceLink(link, 'one')
    expect(readlinkSync(link)).toBe('one')
    await replaceLink(link, 'two')
    expect(readlinkSync(link)).toBe('two')
    expect(readdirSync(join(folder, 'a/b'))).toEqual(['link'])
  })

  it('by many at once leaves one of theirs', async () => {
    const link = join(folder, 'contested')
    const targets = Array.from({ length: 20 }, (_, at) => `target-${at}`)
    await Promise.all(targets.map((target) => replaceLink(link, target)))
    expect(targets).toContain(readlinkSync(link))
  })
})
