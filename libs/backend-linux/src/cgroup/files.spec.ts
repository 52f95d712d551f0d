import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { processesBelow, processesIn } from './files.js'

const folder = mkdtempSync(join(tmpdir(), 'cgroup-files-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.each([
  ['', []],
  ['12\n7\n', [12, 7]],
  // version 2 names a process that is being released 0
  ['0\n', []],
  ['12\n0\n7\n', [12, 7]],
])('the processes of a cgroup that says %j are those that can be named', (text, pids) => {
  const child = join(folder, 'child')
  mkdirSync(child, { recursive: true })
  writeFileSync(join(child, 'cgroup.procs'), text)
  expect(processesIn(child)).toEqual(pids)
  expect(processesBelow(folder)).toEqual(pids)
})

it('a cgroup that is gone has none', () => {
  expect(processesIn(join(folder, 'gone'))).toEqual([])
  expect(processesBelow(join(folder, 'gone'))).toEqual([])
})
