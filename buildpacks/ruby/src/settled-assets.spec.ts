import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { settleAssets, settledGzip } from './settled-assets.js'

describe('assets that Sprockets made', () => {
  const made = (random: string, mtime: string, dated: number): Record<string, string> => {
    const folder = mkdtempSync(join(tmpdir(), 'assets-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const gzip = gzipSync('body {}')
    gzip.writeUInt32LE(dated, 4)
    writeFileSync(join(folder, 'application-1.css.gz'), gzip)
    const manifest = { files: { 'application-1.css': { logical_path: 'application.css', mtime, size: 7 } } }
    writeFileSync(join(folder, `.sprockets-manifest-${random.repeat(32)}.json`), JSON.stringify(manifest))
    settleAssets(folder)
    return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'latin1')]))
  }

  it('are the same whenever they were made', () => {
    const one = made('a', '2026-01-01T00:00:00+00:00', 1)
    expect(made('b', '2026-02-02T00:00:00+00:00', 2)).toEqual(one)
    const [manifest = ''] = Object.keys(one).filter((name) => name.endsWith('.json'))
    expect(manifest).toMatch(/^\.sprockets-manifest-[0-9a-f]{32}\.json$/)
    expect(one[manifest]).toContain('"logical_path":"application.css"')
  })

  it('compressed have the content they had, and what is not compressed stays', () => {
    expect(gunzipSync(settledGzip(gzipSync('body {}'))).toString()).toBe('body {}')
    expect(settledGzip(Buffer.from('no gzip at all'))).toEqual(Buffer.from('no gzip at all'))
  })
})
