import { describe, expect, it } from 'vitest'
import { readHealth } from './platform-health.js'

describe("the platform's health", () => {
  it('is ready when it says so itself', () => {
    expect(readHealth(200, JSON.stringify({ ready: true, version: '1', checks: [] }))).toEqual({
      isReady: true,
      missing: '',
    })
  })
  it('names what is missing', () => {
    const checks = [
      { name: 'database', ok: true, detail: null },
      { name: 'node', ok: false, detail: 'no node reports' },
    ]
    expect(readHealth(503, JSON.stringify({ ready: false, version: '1', checks }))).toEqual({
      isReady: false,
      missing: 'node: no node reports',
    })
  })
  it("is missing while the router answers in the controller's place", () => {
    expect(readHealth(503, '<html>')).toEqual({ isReady: false, missing: 'its router answers with status 503' })
  })
})
