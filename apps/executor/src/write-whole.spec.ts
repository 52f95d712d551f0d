import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import { afterAll, describe, expect, it } from 'vitest'
import { writeWhole } from './write-whole.js'

const folder = await mkdtemp(join(tmpdir(), 'write-whole-'))
afterAll(async () => await rm(folder, { recursive: true, force: true }))

/** Files of this process that are open below the folder. */
async function openFiles(): Promise<string[]> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map(async (fd) => await readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  )
  return links.filter((path) => path.startsWith(folder))
}

describe('a file written whole', () => {
  it('is there when the call returns, private, with nothing beside it, and is let go of soon', async () => {
    const path = join(folder, 'one')
    for (const text of ['first', 'the second']) {
      await writeWhole(path, text)
      expect(await readFile(path, 'utf8')).toBe(text)
    }
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['one'])
    await waitFor(async () => (await openFiles()).length === 0, { what: 'the file to be closed', timeoutMs: 10_000 })
  })

  it('that cannot be put in its place throws, and leaves nothing open', async () => {
    const path = join(folder, 'two')
    await mkdir(join(path, 'inside'), { recursive: true })
    await expect(writeWhole(path, 'x')).rejects.toThrow('EISDIR')
    expect(await openFiles()).toEqual([])
  })
})
