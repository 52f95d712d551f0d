import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { moveSlices } from './app-slices.js'

let root: string
let app: string
let drafts = 0
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slices-'))
  app = join(root, 'app')
  for (const path of [
    'index.js',
    'static/a.css',
    'static/b.js',
    'static/deep/c.css',
    'vendor/x/y',
    '.heroku/node/bin',
  ]) {
    mkdirSync(dirname(join(app, path)), { recursive: true })
    writeFileSync(join(app, path), path)
  }
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const draft = (): Promise<string> => {
  const folder = join(root, `draft-${(drafts += 1)}`)
  mkdirSync(folder)
  return Promise.resolve(folder)
}
const move = (...slices: string[][]) =>
  moveSlices(
    app,
    slices.map((paths) => ({ paths })),
    draft,
  )
const files = async (folder: string): Promise<string> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted()
    .join(' ')

describe('slices of an app folder', () => {
  it('move what they name, with the folders it lies in, and leave the rest', async () => {
    const [css, vendor] = await move(['static/*.css', 'static/deep'], ['vendor', 'static/a.css'])
    expect(await files(css?.folder ?? '')).toBe('static/a.css static/deep/c.css')
    expect(await files(vendor?.folder ?? '')).toBe('vendor/x/y')
    expect(await files(app)).toBe('.heroku/node/bin index.js static/b.js')
    expect(readFileSync(join(css?.folder ?? '', 'static/a.css'), 'utf8')).toBe('static/a.css')
  })

  it('take a folder along of which everything was named', async () => {
    await move(['static/*'])
    expect(existsSync(join(app, 'static'))).toBe(false)
  })

  it('keep the modes of the folders on the way', async () => {
    chmodSync(join(app, 'static'), 0o750)
    const [slice] = await move(['static/*.css'])
    expect(statSync(join(slice?.folder ?? '', 'static')).mode & 0o777).toBe(0o750)
  })

  it('never follow a link', async () => {
    symlinkSync('/etc', join(app, 'link'))
    const [slice] = await move(['link/*', 'link'])
    expect(await files(slice?.folder ?? '')).toBe('link')
    expect(existsSync('/etc/passwd')).toBe(true)
  })

  it('that hold nothing make no folder', async () => {
    expect(await move(['nosuch'], ['index.js'])).toMatchObject([{ slice: { paths: ['index.js'] } }])
  })
})
