import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { weighContainers } from './host-share.js'

let mount: string
beforeEach(() => {
  mount = mkdtempSync(join(tmpdir(), 'host-share-'))
  mkdirSync(join(mount, 'croft'))
})
afterEach(() => rmSync(mount, { recursive: true }))

const layouts = {
  1: () => ({ version: 1 as const, mounts: new Map([['cpu', mount]]), unified: null }),
  2: () => ({ version: 2 as const, root: mount }),
}

describe('the containers of a host', () => {
  it.each([
    [1, 'cpu.shares', '1024', 2, '4096'],
    [1, 'cpu.shares', '1024', 1024, '262144'],
    [1, 'cpu.shares', '300', 2, '300'],
    [2, 'cpu.weight', '100', 2, '400'],
    [2, 'cpu.weight', '100', 256, '10000'],
    [2, 'cpu.weight', '1', 2, '1'],
  ] as const)(
    'weigh, by version %i, where %s was %s on %i processors, %s',
    async (version, file, present, cores, expected) => {
      writeFileSync(join(mount, 'croft', file), `${present}\n`)
      await weighContainers(layouts[version](), 'croft', cores)
      expect(readFileSync(join(mount, 'croft', file), 'utf8').trim()).toBe(expected)
    },
  )

  it('stay as they are where nothing is offered for it', async () => {
    await weighContainers(layouts[2](), 'croft', 2)
    await weighContainers({ version: 1, mounts: new Map(), unified: null }, 'croft', 2)
    expect(readdirSync(join(mount, 'croft'))).toEqual([])
  })
})
