import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { channel } from 'node:diagnostics_channel'
import { run } from '@croft/kit'
import { afterAll, describe, expect, it } from 'vitest'
import { canMakeDisks, makeDisk } from './disk.js'

// a tmpfs, as /tmp often is, tells nothing of holes
const dir = await mkdtemp('/var/tmp/disk-spec-')
afterAll(async () => await rm(dir, { recursive: true, force: true }))
const hasTools = await run('mkfs.ext4', ['-V'], { timeoutMs: 5000 }).then(
  () => true,
  () => false,
)

/** Runs some work and counts the processes it launches. */
async function launches(work: () => Promise<void>): Promise<number> {
  const launched = channel('child_process')
  let count = 0
  const add = (): void => {
    count += 1
  }
  launched.subscribe(add)
  try {
    await work()
  } finally {
    launched.unsubscribe(add)
  }
  return count
}

describe.skipIf(!hasTools)('the disk of a container', () => {
  it('is made by mkfs for the first of a shape and by itself for the next, both sound, equal and almost empty', async () => {
    const [first, second, other] = ['first', 'second', 'other'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ]
    const shape = { bytes: 200 * 1024 * 1024, inodes: 5000 }
    expect(await launches(async () => await makeDisk(first, shape))).toBeGreaterThan(0)
    expect(await launches(async () => await makeDisk(second, shape))).toBe(0)
    await makeDisk(other, { ...shape, inodes: 6000 })
    for (const path of [first, second, other]) {
      await run('e2fsck', ['-f', '-n', path], { timeoutMs: 10_000 }) // fails for anything odd
      const { size, blocks } = await stat(path)
      expect([size, blocks * 512 < 1024 * 1024]).toEqual([shape.bytes, true])
    }
    expect((await readFile(first)).equals(await readFile(second))).toBe(true)
  })
  it.each([256, 1000, 4096])('may have %d KiB, and has no more than was asked for', async (kilobytes) => {
    const path = join(dir, `small-${kilobytes}`)
    await makeDisk(path, { bytes: kilobytes * 1024 + 100, inodes: 0 })
    await run('e2fsck', ['-f', '-n', path], { timeoutMs: 10_000 })
    expect((await stat(path)).size).toBe(kilobytes * 1024)
  })
  it('starts no program to know that it can be made, once that is known', async () => {
    const first = await canMakeDisks()
    expect(await launches(async () => expect(await canMakeDisks()).toBe(first))).toBe(0)
  })
  it('is not made over a file that is there', async () => {
    const path = join(dir, 'taken')
    await makeDisk(path, { bytes: 8 * 1024 * 1024, inodes: 0 })
    await expect(makeDisk(path, { bytes: 8 * 1024 * 1024, inodes: 0 })).rejects.toThrow('EEXIST')
  })
})
