import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MAX_ENDED, ProcessFolders } from './process-folders.js'

describe('what is kept of the processes of a container', () => {
  let dir: string
  let folders: ProcessFolders
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'process-folders-'))
    folders = new ProcessFolders(dir)
  })
  afterEach(async () => await rm(dir, { recursive: true, force: true }))

  const start = async (id: string): Promise<void> => {
    await mkdir(join(dir, id))
    await writeFile(join(dir, id, 'started'), '42 1000\n')
  }
  const end = async (id: string, atMs: number): Promise<void> =>
    await writeFile(join(dir, id, 'exit'), `3 0 0 ${atMs}\n`)

  it('is where it runs, and how it ended once it has; one that never started is none', async () => {
    await start('one')
    await mkdir(join(dir, 'starting'))
    expect(folders.list()).toEqual([{ id: 'one', pid: 42, state: 'running', exit: null, startedAtMs: 1000 }])
    await end('one', 2000)
    const exit = { exitCode: 3, signal: null, isOutOfMemory: false, exitedAtMs: 2000 }
    const ended = [{ id: 'one', pid: null, state: 'exited', exit, startedAtMs: 1000 }]
    expect(folders.list()).toEqual(ended)
    await rm(join(dir, 'one', 'exit')) // not read again
    expect(folders.list()).toEqual(ended)
  })

  it('makes room for another of the same id once it has ended, and comes back when that one does not start', async () => {
    await start('one')
    expect(folders.retire('one')).toBe(null)
    expect(folders.retire('none')).toBe(null)
    await end('one', 2000)
    const retired = folders.retire('one')
    expect(folders.list()).toEqual([])
    retired?.putBack()
    expect(folders.list().map(({ id }) => id)).toEqual(['one'])
    folders.retire('one')
    await start('one')
    expect(folders.get('one')?.state).toBe('running')
  })

  it('is taken out where it ended longest ago, when it is too much; what runs stays', async () => {
    await start('runs')
    for (let number = 0; number < MAX_ENDED + 2; number += 1) {
      await start(`p${number}`)
      await end(`p${number}`, 2000 + number)
    }
    expect(folders.prune()).toHaveLength(2)
    const left = folders.list().map(({ id }) => id)
    expect(left).toHaveLength(MAX_ENDED + 1)
    expect(left).toContain('runs')
    expect(left).not.toContain('p1')
    expect((await readdir(dir)).filter((name) => name.startsWith('.'))).toHaveLength(2)
  })
})
