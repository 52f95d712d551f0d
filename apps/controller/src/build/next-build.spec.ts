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
  it.each([1, 2, 3])(
    'is of another team in turn, with %i at a time: twenty of one do not keep one of another waiting',
    (slots) => {
      const queued = [...Array.from({ length: 20 }, (_, n) => build(`a${n}`, 'a')), build('b', 'b'), build('c', 'c')]
      const running: OpenBuild[] = []
      const lastStarts = new Map<string, number>()
      const order: string[] = []
      while (queued.length > 0) {
        const next = nextBuild(queued, running, slots, lastStarts)
        if (next === undefined) {
          running.shift()
          continue
        }
        order.push(next)
        running.push(
          ...queued.splice(
            queued.findIndex(({ id }) => id === next),
            1,
          ),
        )
        lastStarts.set(running.at(-1)?.teamId ?? '', ++clock)
      }
      expect(order.slice(0, 3)).toEqual(['a0', 'b', 'c'])
      expect(order.slice(3)).toEqual(Array.from({ length: 19 }, (_, n) => `a${n + 1}`))
    },
  )
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
