import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, silentLogger } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ControllerConfig } from '../config.js'
import { git, gitEnv } from './git.js'
import { Repositories } from './repository.js'

const TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904'

let home: string
let repository: string
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'repositories-'))
  repository = join(home, 'a.git')
  await run('git', ['init', '--quiet', '--bare', repository], { env: gitEnv(), timeoutMs: 10_000 })
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

describe('the object a ref names', () => {
  it('is the same wherever git keeps the ref, and none where there is no ref', async () => {
    const repositories = new Repositories({ home } as ControllerConfig, silentLogger)
    const read = (name: string): Promise<string | undefined> => repositories.readRef(repository, `refs/heads/${name}`)
    const who = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a' }
    await git(repository, ['hash-object', '-t', 'tree', '-w', '--stdin'], { input: '' })
    const commit = (await git(repository, ['commit-tree', '-m', 'x', TREE], { env: who })).trim()
    await git(repository, ['update-ref', 'refs/heads/main', commit])
    await git(repository, ['symbolic-ref', 'refs/heads/other', 'refs/heads/main'])
    expect([await read('main'), await read('other'), await read('none'), await read('main/none')]).toEqual([
      commit,
      commit,
      undefined,
      undefined,
    ])
    await git(repository, ['pack-refs', '--all'])
    expect([await read('main'), await read('other')]).toEqual([commit, commit])
  })
})
