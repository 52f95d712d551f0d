import { describe, expect, it } from 'vitest'
import { TREE_CAPS, TreeCaps, TreeReader, type TreeEntry } from './tree-caps.js'

const entry = (path: string | Buffer): TreeEntry => ({
  mode: '100644',
  type: 'blob',
  objectId: 'a'.repeat(40),
  path: typeof path === 'string' ? Buffer.from(path) : path,
})

describe('the output of git ls-tree', () => {
  it('is read wherever its chunks are cut, hostile names included', () => {
    const records = [
      `100644 blob ${'a'.repeat(40)}\tsrc/a b\n$(id).js`,
      `040000 tree ${'b'.repeat(40)}\tsrc`,
      `160000 commit ${'c'.repeat(40)}\tlib`,
    ]
    const bytes = Buffer.from(records.map((record) => `${record}\0`).join(''))
    for (const cut of [1, 5, 64, 1_000]) {
      const reader = new TreeReader()
      const entries: TreeEntry[] = []
      for (let at = 0; at < bytes.length; at += cut) entries.push(...reader.read(bytes.subarray(at, at + cut)))
      expect(entries.map(({ type, path }) => [type, path.toString()])).toEqual([
        ['blob', 'src/a b\n$(id).js'],
        ['tree', 'src'],
        ['commit', 'lib'],
      ])
    }
  })
})

describe('the caps of a tree', () => {
  it.each(['a', 'src/$(touch pwned);`id`&&x', '--upload-pack=x', '-rf', 'a b/ü/日本.txt', `${'x/'.repeat(63)}y`])(
    'take the path %j',
    (path) => {
      expect(new TreeCaps().add(entry(path))).toBeUndefined()
    },
  )
  it.each([
    ['a new line', 'a\nb'],
    ['an escape', 'a\u001b[31m'],
    ['a parent', 'a/../b'],
    ['no name', 'a//b'],
    ['a name too long for a disk', 'x'.repeat(256)],
    ['a path too long', `${'x'.repeat(200)}/`.repeat(25) + 'y'],
    ['too many levels', `${'x/'.repeat(64)}y`],
    ['bytes that are no text', Buffer.from([0x61, 0xff, 0xfe])],
  ])('refuse a path with %s, and show it as plain text', (_what, path) => {
    const refusal = new TreeCaps().add(entry(path))
    expect(refusal?.cause).toMatch(/^[\x20-\x7e]+$/)
    expect(refusal?.suggestion).toBeTruthy()
  })
  it('name the file that is too large', () => {
    expect(new TreeCaps().addSize(Buffer.from('big.bin'), 600 * 1024 ** 2, 1)?.cause).toBe(
      'big.bin is 600 MB, the limit for one file is 500 MB',
    )
  })
  it('count what all files expand to', () => {
    const caps = new TreeCaps()
    const verdicts = [2, 3, 1].map((times) => caps.addSize(Buffer.from('f'), 400 * 1024 ** 2, times))
    expect(verdicts.map((verdict) => verdict?.reason)).toEqual([undefined, undefined, 'too-large'])
  })
  it('end a bomb at the first entry too many', () => {
    const caps = new TreeCaps()
    let count = 0
    while (caps.add(entry(`f${count}`)) === undefined) count += 1
    expect(count).toBe(TREE_CAPS.entries)
  })
})
