import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LifecycleError } from '@croft/lifecycle'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { wishedBuildpacks, type WishedInput } from './wished-buildpacks.js'

const URL = 'https://git.example/buildpack'
const [FORMER, PRESENT] = ['a', 'b'].map((letter) => letter.repeat(40)) as [string, string]
let folder: string
let present: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wished-buildpacks-'))
  present = FORMER
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A repository whose main is `present`, and which has nothing else any more. */
const git = {
  fetch: async (_url: string, ref: string | null) => {
    if (ref === 'main' || ref === present) return present
    throw new LifecycleError('detect', `the buildpack ${URL}#${ref} could not be fetched`, 'correct the address')
  },
  checkOut: async (_url: string, _commit: string, to: string) => {
    mkdirSync(join(to, 'bin'), { recursive: true })
    writeFileSync(join(to, 'bin/build'), '')
    writeFileSync(join(to, 'buildpack.toml'), 'api = "0.10"\n[buildpack]\nid = "one/two"\nversion = "1.0.0"\n')
  },
}

async function bring(isClean = false): Promise<readonly string[]> {
  const foreign = mkdtempSync(join(folder, 'foreign-'))
  const wish = { kind: 'git', url: URL, ref: 'main' }
  const { lines } = await wishedBuildpacks({
    wishes: { group: [wish], pre: [], post: [], from: '', sources: ['https://'] } as never,
    installed: { buildpacks: [], order: [] },
    folders: { foreign, workspace: folder, owner: { uid: process.getuid?.(), gid: process.getgid?.() } } as never,
    git: git as never,
    pins: join(folder, 'pins.json'),
    isClean,
    signal: new AbortController().signal,
  } satisfies WishedInput)
  return lines?.details ?? []
}

describe('a buildpack of a branch', () => {
  it('is the commit it was when the app first used it, until a build from scratch', async () => {
    expect(await bring()).toEqual([expect.stringContaining(`at ${FORMER.slice(0, 12)}`)])
    present = PRESENT
    const refused = await bring().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(LifecycleError)
    expect(refused).toMatchObject({
      title: expect.stringContaining(FORMER),
      suggestion: 'push again later, or with -o rebuild to take what main stands for now',
    })
    expect(await bring(true)).toEqual([expect.stringContaining(`at ${PRESENT.slice(0, 12)}`)])
    expect(await bring()).toEqual([expect.stringContaining(`at ${PRESENT.slice(0, 12)}`)])
  })
})
