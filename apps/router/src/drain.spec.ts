import { describe, expect, it } from 'vitest'
import { DrainingInstances } from './drain.js'

const OLD = { address: '10.192.0.2:8080', instanceId: 'old' }
const NEW = { address: '10.192.0.3:8080', instanceId: 'new' }

describe('draining instances', () => {
  it('an instance that left is drained after two looks in a row without a request', () => {
    const draining = new DrainingInstances()
    draining.replaceTable([OLD], new Set([NEW.address]))
    expect(draining.list()).toEqual([OLD])
    expect(draining.look(new Map())).toBe(false)
    expect(draining.look(new Map([[OLD.address, 1]]))).toBe(false)
    expect(draining.look(new Map([[OLD.address, 0]]))).toBe(false)
    expect(draining.has(OLD.address)).toBe(true)
    expect(draining.look(new Map())).toBe(true)
    expect(draining.size).toBe(0)
  })

  it('one that comes back into the table drains no more', () => {
    const draining = new DrainingInstances([OLD])
    draining.replaceTable([NEW], new Set([OLD.address]))
    expect(draining.list()).toEqual([NEW])
  })

  it('a table without a change lets it go on', () => {
    const draining = new DrainingInstances([OLD])
    draining.look(new Map())
    draining.replaceTable([NEW], new Set([NEW.address]))
    expect(draining.look(new Map())).toBe(true)
  })
})
