import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PackageLists } from './package-lists.js'

let folder: string
let lists: PackageLists
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'package-lists-'))
  const script = `#!/bin/sh\necho "$*" >>${folder}/calls\n[ "$3" = --anew ] && echo fetched || echo kept\n`
  writeFileSync(join(folder, 'package-lists.sh'), script, { mode: 0o755 })
  lists = new PackageLists({ folder, cache: '/cache', proxyEnvironment: {} })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const provide = () => lists.provide('debian-12', new AbortController().signal)
const calls = (): string[] => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')

describe('the package lists of a stack', () => {
  it('are asked for once by builds at the same time', async () => {
    expect(await Promise.all([provide(), provide()])).toEqual([{ kind: 'kept' }, { kind: 'kept' }])
    expect(calls()).toEqual(['/cache debian-12'])
  })

  it('are fetched anew, once, after a build that the archive did not give what they name', async () => {
    lists.outdate('debian-12')
    lists.outdate('debian-13')
    expect(await provide()).toEqual({ kind: 'fetched' })
    expect(await provide()).toEqual({ kind: 'kept' })
    expect(calls()).toEqual(['/cache debian-12 --anew', '/cache debian-12'])
  })
})
