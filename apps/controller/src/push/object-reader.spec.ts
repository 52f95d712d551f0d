import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gitEnv } from './git.js'
import { ObjectReader, readObjects, SizeReader } from './object-reader.js'

const MISSING = { objectId: '0123456789012345678901234567890123456789' }
let repository: string

async function blob(text: string): Promise<{ objectId: string }> {
  const options = { env: gitEnv(), input: text, timeoutMs: 10_000 }
  const { stdout } = await run('git', [`--git-dir=${repository}`, 'hash-object', '-w', '--stdin'], options)
  return { objectId: stdout.toString().trim() }
}

/** The id of a tree that holds a file `x`. */
async function treeOf({ objectId } = MISSING): Promise<string> {
  const options = { env: gitEnv(), input: `100644 blob ${objectId}\tx\n`, timeoutMs: 10_000 }
  const { stdout } = await run('git', [`--git-dir=${repository}`, 'mktree'], options)
  return stdout.toString().trim()
}

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'croft-repo-'))
  await run('git', ['init', '--quiet', '--bare', repository], { env: gitEnv(), timeoutMs: 10_000 })
})
afterAll(() => rm(repository, { recursive: true, force: true }))

describe('an object reader', () => {
  it('answers one question after the other in their order, also about objects made after it was started', async () => {
    const reader = new ObjectReader(repository)
    const read: string[] = []
    const keep = (_: unknown, bytes: Buffer): number => read.push(bytes.toString())
    const wanted = [await blob('one\n'), await blob(''), await blob('three')]
    await reader.read(wanted, keep)
    await reader.read([], keep)
    await reader.read([await blob('x'.repeat(300_000)), ...wanted.slice(0, 1)], keep)
    reader.close()
    expect(read).toEqual(['one\n', '', 'three', 'x'.repeat(300_000), 'one\n'])
  })
  it('fails for what is missing or too large, and when it was closed', async () => {
    await expect(readObjects(repository, [MISSING], () => undefined)).rejects.toThrow(/missing/)
    const large = await blob('y'.repeat(2 * 1024 * 1024 + 1))
    await expect(readObjects(repository, [large], () => undefined)).rejects.toThrow('an object of 2097153 bytes')
    const reader = new ObjectReader(repository)
    reader.close()
    await expect(reader.read([large], () => undefined)).rejects.toThrow('git cat-file gave 0 of 1 objects')
  })
})

describe('a size reader', () => {
  it('gives the size of each object in its order, and the id of one that has a name, and fails for a missing one', async () => {
    const reader = new SizeReader(repository)
    const objects = [await blob('12345'), await blob(''), await blob('12345')]
    const asked = [{ objectId: `${await treeOf(objects[0])}^{tree}` }, ...objects]
    const sizes: [string, number][] = []
    await reader.read(asked, (_, bytes, objectId) => sizes.push([objectId, bytes]))
    reader.close()
    expect(sizes).toEqual([
      [await treeOf(objects[0]), 29],
      ...objects.map(({ objectId }, index) => [objectId, [5, 0, 5][index]]),
    ])
    const other = new SizeReader(repository)
    await expect(other.read([MISSING], () => undefined)).rejects.toThrow(/missing/)
    other.close()
  })
  it('of nothing needs no answer', async () => {
    const reader = new SizeReader(repository)
    await expect(reader.read([], () => undefined)).resolves.toBeUndefined()
    reader.close()
  })
})
