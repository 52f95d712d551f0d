import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gitEnv } from '../push/git.js'
import { WishFileReader } from './wish-files.js'

let repository: string

async function git(args: readonly string[], input = ''): Promise<string> {
  const { stdout } = await run('git', [`--git-dir=${repository}`, ...args], { env: gitEnv(), input, timeoutMs: 10_000 })
  return stdout.toString().trim()
}
async function treeOf(procfile: string): Promise<string> {
  const blob = await git(['hash-object', '-w', '--stdin'], procfile)
  return git(['mktree'], `100644 blob ${blob}\tProcfile\n100644 blob ${blob}\tother\n120000 blob ${blob}\tDockerfile\n`)
}

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'croft-repo-'))
  await run('git', ['init', '--quiet', '--bare', repository], { env: gitEnv(), timeoutMs: 10_000 })
})
afterAll(() => rm(repository, { recursive: true, force: true }))

describe('the files by which an app tells how it is built', () => {
  it('are those of its tree, without links and others', async () => {
    const files = await new WishFileReader().of(repository, await treeOf('web: one\n'))
    expect([...files]).toEqual([['Procfile', 'web: one\n']])
  })
  it('are read once, or not at all when somebody has read them', async () => {
    const reader = new WishFileReader()
    const [one, two] = [await treeOf('web: one\n'), await treeOf('web: two\n')]
    const read = await reader.of(repository, one)
    const known = new Map([['Procfile', 'web: two\n']])
    reader.keep(repository, two, known)
    await rename(repository, `${repository}.gone`)
    expect(await reader.of(repository, one)).toBe(read)
    expect(await reader.of(repository, two)).toBe(known)
    await rename(`${repository}.gone`, repository)
  })
  it('are kept for a few trees only, and none of a reading that failed', async () => {
    const reader = new WishFileReader()
    const kept = new Map([['Procfile', 'web: kept\n']])
    const tree = await treeOf('web: read\n')
    reader.keep(repository, tree, kept)
    for (let other = 0; other < 4; other += 1) reader.keep(repository, `${other}`, kept)
    expect((await reader.of(repository, tree)).get('Procfile')).toBe('web: read\n')
    await expect(reader.of(`${repository}.none`, tree)).rejects.toThrow('git')
    await expect(reader.of(`${repository}.none`, tree)).rejects.toThrow('git')
  })
})
