import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CgroupsV2 } from './cgroups-v2.js'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cgroups-v2-'))
  mkdirSync(join(root, 'croft/0'), { recursive: true })
  for (const dir of ['', 'croft', 'croft/0']) {
    for (const file of ['cgroup.controllers', 'cgroup.subtree_control']) writeFileSync(join(root, dir, file), '')
  }
})
afterEach(() => rmSync(root, { recursive: true }))

describe('a cgroup of version 2', () => {
  it('that went with its sidecar between the look and the freeze has nothing left to freeze', async () => {
    const cgroups = await CgroupsV2.open(root, 'croft/0')
    await expect(cgroups.pause('_pea-0-1')).resolves.toBeUndefined()
    await expect(cgroups.resume('_pea-0-1')).resolves.toBeUndefined()
  })
})
