import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ContainerEvent } from '../../types.js'
import { decodeEvent, decodeLease, eventToWire, parsePosition, positionText } from './event.js'

const base = { version: 7, atMs: 1_700_000_000_000, handle: 'h' }
const exit = { exitCode: 137, signal: 9, isOutOfMemory: true, exitedAtMs: 1_700_000_000_123 }
const events: ContainerEvent[] = [
  ...(['created', 'stopped', 'paused', 'resumed', 'out-of-memory'] as const).map((kind) => ({ ...base, kind })),
  ...(['asked', 'grace-time', 'lost'] as const).map((reason) => ({ ...base, kind: 'destroyed' as const, reason })),
  { ...base, kind: 'process-started', processId: 'p', pid: 41 },
  { ...base, kind: 'process-started', processId: 'p', pid: null },
  { ...base, kind: 'process-exited', processId: 'p', exit },
  { ...base, kind: 'process-exited', processId: 'p', exit: { ...exit, exitCode: 0, signal: null } },
  { ...base, kind: 'limits-changed', limits: { memory: { limitBytes: 64 }, cpu: { quotaMillis: 500 } } },
]

describe('an event on the wire', () => {
  it.each(events)('$kind comes back as it was', (event) => {
    expect(decodeEvent(JSON.parse(JSON.stringify(eventToWire(event))))).toEqual(event)
  })
  it('of a kind nobody knows yet is none', () => {
    expect(decodeEvent({ version: 1, at: '2026-01-01T00:00:00Z', handle: 'h', kind: 'danced' })).toBeNull()
  })
})

describe('a position as a text', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.maxSafeNat(), (bootId, version) => {
        expect(parsePosition(positionText({ bootId, version }))).toEqual({ bootId, version })
      }),
    )
  })
  it.each(['', 'boot', 'boot/', '/1', 'boot/x', 'bo ot/1'])('is not %j', (value) => {
    expect(parsePosition(value)).toBeNull()
  })
})

describe('a lease', () => {
  it('lasts from now on, or until a time', () => {
    expect(decodeLease({ holder: 'c', ttl: 2_500_000 }, 1000)).toEqual({ holder: 'c', expiresAtMs: 1003 })
    expect(decodeLease({ holder: 'c', expires_at: '1970-01-01T00:00:05Z' }, 1000)).toEqual({
      holder: 'c',
      expiresAtMs: 5000,
    })
  })
  it.each([
    [{}, 'holder'],
    [{ holder: '', ttl: 1 }, 'holder'],
    [{ holder: 'c' }, 'ttl'],
    [{ holder: 'c', ttl: 0 }, 'ttl'],
    [{ holder: 'c', expires_at: 'soon' }, 'expires_at'],
  ])('%j is refused, naming %s', (json, field) => {
    expect(() => decodeLease(json, 0)).toThrow(field)
  })
})
