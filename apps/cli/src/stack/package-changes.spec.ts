import { describe, expect, it } from 'vitest'
import { packageChanges } from './package-changes.js'

describe('what differs between the packages of two images', () => {
  it.each([
    ['', '', [], [], []],
    ['a=1 b=2', 'a=1 b=2', [], [], []],
    ['a=1 b=2', 'b=2+deb12u1 c=1:3=x', [{ name: 'b', from: '2', to: '2+deb12u1' }], ['c'], ['a']],
    ['', 'a=1', [], ['a'], []],
  ])('%j and %j', (former, now, changed, added, removed) => {
    expect(packageChanges(former, now)).toEqual({ changed, added, removed })
  })
})
