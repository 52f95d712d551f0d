import { describe, expect, it } from 'vitest'
import { buildSlots } from './build-limits.js'
import { nextBuild, type OpenBuild } from './next-build.js'

let clock = 0
const build = (id: string, teamId: string, appId = id): OpenBuild => ({ id, teamId, appId, createdAt: ++clock })

describe('whose build is next', () => {
  it('is the longest waiting one of the team with the fewest running builds', () => {
    const running = [build('r', 'busy')]
    const queued = [build('a', 'busy'), build('b', 'calm'), build('c', 'calm')]
    expect(nextBuild(queued, running, 2)).toBe('b')
  })
  it('is the newest of an app with several', () => {
    expect(nextBuild([build('old', 't', 'app'), build('new', 't', 'app')], [], 1)).toBe('new')
  })
  it('is nobody’s while every slot is taken, or while the app builds already', () => {
    expect(nextBuild([build('a', 't')], [build('r', 't')], 1)).toBeUndefined()
    expect(nextBuild([build('a', 't', 'app')], [build('r', 't', 'app')], 4)).toBeUndefined()
  })
})

describe('how many builds run at once', () => {
  it.each([
    [[], 1],
    [[{ cpuMillis: 1_000 }], 1],
    [[{ cpuMillis: 2_000 }], 1],
    [[{ cpuMillis: 8_000 }, { cpuMillis: 2_000 }], 5],
  ])('%j: %d', (nodes, slots) => {
    expect(buildSlots(nodes)).toBe(slots)
  })
})
