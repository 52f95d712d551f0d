import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@croft/kit'
import { expect, it } from 'vitest'
import { registryTrust } from './registry-trust.js'

it('a node trusts registries that its host and the settings trust, and while the controller is away those it named last', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'registry-trust-'))
  writeFileSync(join(folder, 'ca.crt'), 'host')
  let answer: () => Promise<string> = async () => 'set'
  const trust = registryTrust(join(folder, 'ca.crt'), () => answer(), silentLogger)
  expect(await trust()).toBe('host\nset')
  answer = async () => 'another'
  expect(await trust()).toBe('host\nanother')
  answer = () => Promise.reject(new Error('away'))
  expect(await trust()).toBe('host\nanother')
  expect(await registryTrust(null, () => answer(), silentLogger)()).toBe('\n')
  rmSync(folder, { recursive: true })
})
