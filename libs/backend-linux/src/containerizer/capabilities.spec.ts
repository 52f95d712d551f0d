import { describe, expect, it } from 'vitest'
import { capabilitiesOf } from './capabilities.js'

const EVERYTHING = 2n ** 64n - 1n

/** The set as the kernel shows it in /proc/<pid>/status. */
const BITS: Record<string, number> = {
  CAP_CHOWN: 0,
  CAP_NET_RAW: 13,
  CAP_SYS_ADMIN: 21,
  CAP_MKNOD: 27,
  CAP_SETFCAP: 31,
}

describe('the capabilities of a container', () => {
  it("are Garden's fourteen, or with privileges everything up to the reading of audits", () => {
    expect(capabilitiesOf(EVERYTHING, false).length).toBe(14)
    expect(capabilitiesOf(EVERYTHING, false)).not.toContain('CAP_SYS_ADMIN')
    expect(capabilitiesOf(EVERYTHING, true).length).toBe(38)
    expect(capabilitiesOf(EVERYTHING, true)).not.toContain('CAP_BPF')
  })
  it.each(Object.entries(BITS))('know %s by its number %i', (name, bit) => {
    expect(capabilitiesOf(1n << BigInt(bit), true)).toEqual([name])
  })
  it('are none that the host itself lacks', () => {
    expect(capabilitiesOf(0n, true)).toEqual([])
    expect(capabilitiesOf(1n, false)).toEqual(['CAP_CHOWN'])
  })
})
