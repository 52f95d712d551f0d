import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { HotFiles } from './hot-files.js'

let dir: string
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'hot-files-'))))
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const openHere = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)].filter((path) => path.startsWith(dir))
    } catch {
      return []
    }
  })

it('reads what is in a file now, and opens it once', () => {
  const files = new HotFiles()
  const path = join(dir, 'a')
  for (const text of ['one', 'two, longer', '3']) {
    writeFileSync(path, text)
    expect(files.read('owner', path)).toBe(text)
    expect(openHere()).toEqual([path])
  }
  files.forget('owner')
  expect(openHere()).toEqual([])
})

it('keeps the files of those open that were read last', () => {
  const files = new HotFiles(2)
  for (const name of ['a', 'b', 'c']) writeFileSync(join(dir, name), name)
  for (const name of ['a', 'b', 'a', 'c']) expect(files.read(name, join(dir, name))).toBe(name)
  expect(openHere().toSorted()).toEqual([join(dir, 'a'), join(dir, 'c')])
  for (const name of ['a', 'c']) files.forget(name)
})

it('says what is not there, or the fallback', () => {
  const files = new HotFiles()
  expect(() => files.read('owner', join(dir, 'none'))).toThrow('ENOENT')
  expect(files.readOr('owner', join(dir, 'none'), 'nothing')).toBe('nothing')
})
