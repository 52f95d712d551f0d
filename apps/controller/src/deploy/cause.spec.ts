import { instanceReasonSchema, type InstanceReason } from '@croft/protocol'
import { describe, expect, it } from 'vitest'
import { explain } from './cause.js'
import type { Failure } from './strategy.js'

const context = { appName: 'shop', version: 12, port: 8080, bootTimeoutMs: 60_000 }
const failure = (changes: Partial<Failure> = {}): Failure => ({
  kind: 'boot-crash',
  instance: 'web.1',
  reason: 'crashed',
  message: null,
  lastLines: [],
  ...changes,
})

describe('the cause of a failed deployment', () => {
  it.each<[InstanceReason, RegExp, RegExp]>([
    ['crashed', /^web\.1 of v12 crashed at boot/, /croft logs -a shop --ps web\.1/],
    ['port-on-loopback', /only on 127\.0\.0\.1 inside its container/, /0\.0\.0\.0/],
    ['port-wrong', /but not on port 8080/, /PORT/],
    ['port-closed', /nothing listens on port 8080 after 60 s/, /PORT/],
    ['boot-timeout', /was not ready after 60 s/, /boot-timeout=120/],
    ['check-failed', /health check/, /app\.json/],
    ['out-of-memory', /memory/, /memory/],
  ])('%s is named with what to do', (reason, cause, suggestion) => {
    const text = explain(failure({ reason }), context)
    expect(text.cause).toMatch(cause)
    expect(text.suggestion).toMatch(suggestion)
  })

  it('shows the last 20 lines of the app, and says where they are', () => {
    const lastLines = Array.from({ length: 30 }, (_, index) => `line ${index}`)
    const text = explain(failure({ lastLines, message: 'it ended with exit code 4' }), context)
    expect(text.cause).toBe('web.1 of v12 crashed at boot: it ended with exit code 4')
    expect(text.lastLines).toEqual(lastLines.slice(10))
    expect(text.suggestion).toMatch(/last lines above/)
  })

  it('of a placement is the placement error', () => {
    const text = explain(
      failure({ kind: 'not-placed', message: 'no node has 512 MiB free (largest 380 MiB)' }),
      context,
    )
    expect(text.cause).toBe('web.1 of v12 found no node: no node has 512 MiB free (largest 380 MiB)')
  })

  it('is one line of printable ASCII for every reason', () => {
    for (const reason of [...instanceReasonSchema.options, null]) {
      const { cause, suggestion } = explain(failure({ reason }), context)
      expect(cause).toMatch(/^[\x20-\x7e]+$/)
      expect(suggestion).toMatch(/^[\x20-\x7e]+$/)
    }
  })
})
