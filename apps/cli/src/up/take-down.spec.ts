import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { instanceCount } from './take-down.js'

let home: string
beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'croft-take-down-'))))
afterEach(() => rmSync(home, { recursive: true, force: true }))

/** A container as the journal of a killed executor has it. */
function container(handle: string, properties: Record<string, string>): void {
  const folder = join(home, 'node/containers', handle)
  const state = { step: 'created', bootId: 'b', slot: 1, address: '10.0.0.2', shim: null, init: null, properties }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'spec.json'), '{}')
  writeFileSync(join(folder, 'state.json'), JSON.stringify(state))
}

describe('the instances of a home whose platform does not answer', () => {
  it('are counted by their containers, and none that was made ahead and nobody has taken', async () => {
    expect(await instanceCount(home)).toBe(0)
    container('web-1', { 'croft.owner': 'executor', 'croft.instance': '0192f0c1' })
    container('spare-1', { 'croft.owner': 'executor', 'croft.instance': 'spare-1', 'croft.build': 'spare-1' })
    expect(await instanceCount(home)).toBe(1)
    container('spare-2', { 'croft.owner': 'executor', 'croft.instance': '0192f0c2', 'croft.build': 'spare-2' })
    expect(await instanceCount(home)).toBe(2)
  })
  it('are not what was only begun', async () => {
    container('probe', {})
    mkdirSync(join(home, 'node/containers/half'))
    writeFileSync(join(home, 'node/containers/half/state.json'), '{"step":')
    expect(await instanceCount(home)).toBe(0)
  })
})
