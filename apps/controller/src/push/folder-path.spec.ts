import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FolderPaths, type ArchiveEntry } from './folder-path.js'

const entry = (name: string, more: Partial<ArchiveEntry> = {}): ArchiveEntry => ({
  name,
  type: 'file',
  linkname: null,
  size: 1,
  mode: 0o644,
  hasOtherSize: false,
  ...more,
})
const placeAll = (...entries: ArchiveEntry[]) => {
  const paths = new FolderPaths()
  return entries.map((one) => paths.place(one))
}
const causeOf = (...entries: ArchiveEntry[]): string => {
  const last = placeAll(...entries).at(-1)
  return last?.kind === 'refused' ? last.refusal.cause : `it is a ${last?.kind}`
}

describe('an entry of a folder', () => {
  it('becomes a file, executable or not, or a link', () => {
    const link = entry('here', { type: 'symlink', linkname: '../../etc/passwd', size: 0 })
    expect(placeAll(entry('./a/b'), entry('run', { mode: 0o755 }), link, entry('a/', { type: 'directory' }))).toEqual([
      { kind: 'file', path: 'a/b', isExecutable: false, size: 1 },
      { kind: 'file', path: 'run', isExecutable: true, size: 1 },
      { kind: 'symlink', path: 'here', target: '../../etc/passwd' },
      { kind: 'nothing' },
    ])
  })

  it.each<[string, ArchiveEntry[], RegExp]>([
    ['leads out', [entry('../evil')], /leads out/],
    ['leads out in the middle', [entry('a/../../evil')], /leads out/],
    ['is a path from the root', [entry('/etc/passwd')], /from the root/],
    ['is a folder that leads out', [entry('../x/', { type: 'directory' })], /leads out/],
    ['has no name', [entry('')], /leads out/],
    ['is git’s', [entry('.git/config')], /belongs to git/],
    ['is git’s in other letters', [entry('a/.GIT/hooks/x')], /belongs to git/],
    ['is there already', [entry('a'), entry('a')], /a is in it twice/],
    ['was a folder before', [entry('a/b'), entry('a')], /a is in it twice/],
    ['lies below a file', [entry('a'), entry('a/b')], /a is in it twice/],
    ['lies below a link', [entry('a', { type: 'symlink', linkname: '/etc' }), entry('a/b/c')], /a is in it twice/],
    [
      'is a folder where a link was',
      [entry('a', { type: 'symlink', linkname: '/' }), entry('a', { type: 'directory' })],
      /twice/,
    ],
    ['is a hard link', [entry('a', { type: 'link', linkname: 'b' })], /but a link/],
    ['is a device', [entry('a', { type: 'character-device' })], /but a character-device/],
    ['is a pipe', [entry('a', { type: 'fifo' })], /but a fifo/],
    ['links to nowhere', [entry('a', { type: 'symlink', linkname: '' })], /to nowhere/],
    ['links too far', [entry('a', { type: 'symlink', linkname: 'x'.repeat(4_097) })], /to nowhere/],
    ['has a second size', [entry('a', { hasOtherSize: true })], /larger than/],
    ['is not UTF-8', [entry('a\uFFFD')], /not UTF-8/],
    ['holds a line end', [entry('a\nM 100644 inline b')], /control character/],
    ['has a long name', [entry('x'.repeat(256))], /longer than 255/],
    ['is too deep', [entry('a/'.repeat(65) + 'b')], /deeper than 64/],
  ])('that %s is refused', (_what, entries, cause) => {
    expect(causeOf(...entries)).toMatch(cause)
  })

  it('is never placed at a path that leaves the folder, goes through another entry or was given before', () => {
    const part = fc.constantFrom('a', 'b', '.', '..', '', '.git', 'c d', '"', '\\')
    const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
    const kind = fc.constantFrom('file', 'symlink', 'directory')
    fc.assert(
      fc.property(fc.array(fc.tuple(name, kind), { maxLength: 12 }), (all) => {
        const placed = placeAll(...all.map(([path, type]) => entry(path, { type, linkname: '/etc' })))
        const paths = placed.flatMap((one) => ('path' in one ? [one.path] : []))
        expect(new Set(paths).size).toBe(paths.length)
        for (const path of paths) {
          expect(path).toMatch(/^(?!\/)(?:(?!\.{1,2}(?:\/|$))[^/]+(?:\/(?!$)|$))+$/)
          for (const other of paths) expect(path.startsWith(`${other}/`)).toBe(false)
        }
      }),
    )
  })
})
