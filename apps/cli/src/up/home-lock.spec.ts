import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withHomeLock } from './home-lock.js'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'home-lock-'))))
afterEach(() => rmSync(folder, { recursive: true }))

const modeOf = (path: string): number => statSync(path).mode & 0o777

describe('the lock of a home', () => {
  it('is held by one at a time, and gone with the work', async () => {
    const run = join(folder, 'run')
    const held = await withHomeLock(
      '/home/a',
      async () => {
        await expect(withHomeLock('/home/a', () => Promise.resolve(), run)).rejects.toMatchObject({ code: 'home-busy' })
        return withHomeLock('/home/b', () => Promise.resolve('another home'), run)
      },
      run,
    )
    expect(held).toBe('another home')
    expect(readdirSync(join(run, 'locks'))).toEqual([])
  })

  it('lets containers reach what lies beside it, also where it is the first that a host has of Croft', async () => {
    const run = join(folder, 'run/croft')
    expect(existsSync(run)).toBe(false)
    await withHomeLock('/home/a', () => Promise.resolve(), run)
    expect([modeOf(run), modeOf(join(run, 'locks'))]).toEqual([0o755, 0o700])
  })
})
