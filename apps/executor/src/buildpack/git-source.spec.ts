import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GitSource } from './git-source.js'

const HOUR_S = 60 * 60
const nameOf = (url: string): string => createHash('sha256').update(url).digest('hex')
const urlOf = (index: number): string => `https://127.0.0.1:1/${index}`
let folder: string
let git: GitSource
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'git-source-'))
  git = new GitSource({ folder, egress: [], ca: null, proxyEnvironment: {} })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Repositories that were used so many hours ago. */
function leave(hours: readonly number[]): void {
  for (const [index, age] of hours.entries()) {
    const path = join(folder, nameOf(urlOf(index)))
    mkdirSync(path)
    const then = Date.now() / 1000 - age * HOUR_S
    utimesSync(path, then, then)
  }
}
/** Makes the repository, and gets nothing: the address is a private one. */
const ask = (url: string): Promise<unknown> => git.fetch(url, 'main', new AbortController().signal).catch(() => null)
const isThere = (index: number): boolean => readdirSync(folder).includes(nameOf(urlOf(index)))

describe('the repositories of buildpacks', () => {
  it('are the fifty used last, beside those that a build may be using', async () => {
    leave([...Array.from({ length: 60 }, (_none, index) => index + 2), 0.5])
    await ask(urlOf(59)) // the oldest of them, which is used now
    await ask(urlOf(100))
    expect(readdirSync(folder)).toHaveLength(50)
    for (const index of [0, 46, 59, 60, 100]) expect(isThere(index), String(index)).toBe(true)
    for (const index of [47, 58]) expect(isThere(index), String(index)).toBe(false)
  })

  it('stay beyond that while they were used within the hour', async () => {
    leave(Array.from({ length: 60 }, () => 0.5))
    await ask(urlOf(100))
    expect(readdirSync(folder)).toHaveLength(61)
  })
})
