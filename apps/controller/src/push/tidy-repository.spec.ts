import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { git } from './git.js'
import { tidyRepository } from './tidy-repository.js'

const { signal } = new AbortController()
const MONTH_S = 30 * 24 * 60 * 60
let repository: string
let serial: number

beforeEach(async () => {
  repository = mkdtempSync(join(tmpdir(), 'tidy-repository-'))
  serial = 0
  await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', repository], { timeoutMs: 10_000 })
  await git(repository, ['config', 'gc.auto', '0'])
})
afterEach(() => rmSync(repository, { recursive: true, force: true }))

/** A commit of one file in a pack of its own, on a branch that is as ever afterwards or has it. */
async function commit(branch: string | null, parent?: string): Promise<string> {
  serial += 1
  const text = `content ${serial}\n`
  const from = parent === undefined ? '' : `from ${parent}\n`
  const input =
    `commit refs/heads/${branch ?? 'lost'}\ncommitter x <> ${1_700_000_000 + serial} +0000\ndata 1\nx\n${from}` +
    `M 100644 inline file\ndata ${text.length}\n${text}\ndone\n`
  const place = ['-c', 'fastimport.unpackLimit=0', 'fast-import', '--quiet', '--done', '--force']
  await git(repository, place, { input })
  const ref = `refs/heads/${branch ?? 'lost'}`
  const id = (await git(repository, ['rev-parse', ref])).trim()
  if (branch === null) await git(repository, ['update-ref', '-d', ref])
  return id
}

/** As if all that is there had been for a month. */
function age(): void {
  const then = Date.now() / 1000 - MONTH_S
  for (const entry of readdirSync(join(repository, 'objects'), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) utimesSync(join(entry.parentPath, entry.name), then, then)
  }
}

const isThere = (id: string): Promise<boolean> =>
  git(repository, ['cat-file', '-e', id]).then(
    () => true,
    () => false,
  )
const packs = (): number =>
  readdirSync(join(repository, 'objects/pack')).filter((name) => name.endsWith('.pack')).length

describe('a repository with many packs', () => {
  it('keeps what branches and releases came from and what is young, and nothing else', async () => {
    const lost = await commit(null)
    const released = await commit(null)
    const former = await commit('main')
    let main = former
    for (let round = 0; round < 10; round += 1) main = await commit('main', main)
    age()
    const young = await commit(null)
    await tidyRepository(repository, [released, former, 'f'.repeat(40)], signal)
    expect(await Promise.all([lost, released, former, main, young].map(isThere))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ])
    expect(packs()).toBeLessThanOrEqual(2)
    const refs = await git(repository, ['for-each-ref', '--format=%(refname)'])
    expect(refs.trim().split('\n')).toEqual([`refs/croft/released/${released}`, 'refs/heads/main'])
    expect(await git(repository, ['fsck', '--strict', '--no-dangling'])).toBe('')
  })

  it('is tidied behind everything else', async () => {
    for (let round = 0; round < 12; round += 1) await commit(null)
    const hook = '#!/bin/sh\nexec >"$0.said"\nnice\nionice\n' // git runs it before it tidies
    writeFileSync(join(repository, 'hooks/pre-auto-gc'), hook, { mode: 0o755 })
    await tidyRepository(repository, [], signal)
    expect(readFileSync(join(repository, 'hooks/pre-auto-gc.said'), 'utf8')).toBe('19\nidle\n')
  })

  it('takes pushes meanwhile', async () => {
    let main = await commit('main')
    for (let round = 0; round < 12; round += 1) await commit(null)
    age()
    let isOver = false
    const tidying = tidyRepository(repository, [], signal).finally(() => (isOver = true))
    const pushed: string[] = []
    while (!isOver || pushed.length === 0) pushed.push((main = await commit('main', main)))
    await tidying
    expect(await Promise.all(pushed.map(isThere))).not.toContain(false)
    expect(await git(repository, ['fsck', '--strict', '--no-dangling'])).toBe('')
  })

  it('is left alone while they are few', async () => {
    const lost = await commit(null)
    age()
    const [pack = ''] = readdirSync(join(repository, 'objects/pack'))
    const { ino } = statSync(join(repository, 'objects/pack', pack))
    await tidyRepository(repository, [lost], signal)
    expect(statSync(join(repository, 'objects/pack', pack)).ino).toBe(ino)
    expect(await isThere(lost)).toBe(true)
  })
})
