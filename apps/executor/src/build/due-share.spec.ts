import { silentLogger, systemClock, type Clock } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { giveDueShare } from './due-share.js'

const WEIGHT = 200

/** What weights the containers of a build get, each of which lives for so many looks; nothing is used, and nothing idle. */
async function weightsOf(containers: readonly { looks: number; isGoing?: boolean }[]): Promise<(number | undefined)[]> {
  const weights = containers.map((): number | undefined => undefined)
  const lives = containers.flatMap(({ looks, isGoing = false }, index) => {
    const container = {
      handle: String(index),
      metrics: () => Promise.resolve({ cpu: { usageNs: 0 } } as never),
      changeLimits: ({ cpu }: { cpu?: { weight?: number } }) => {
        if (isGoing) return Promise.reject(new Error('it is going away'))
        weights[index] = cpu?.weight
        return Promise.resolve()
      },
    }
    return Array.from({ length: looks }, () => container)
  })
  const stop = new AbortController()
  let at = 0
  const over = new Promise<void>((done) => stop.signal.addEventListener('abort', () => done()))
  const clock: Clock = {
    ...systemClock,
    monotonic: () => at,
    sleep: (ms) => {
      at += ms
      lives.shift()
      if (lives.length > 0) return Promise.resolve()
      stop.abort()
      return Promise.reject(new Error('over'))
    },
  }
  const running = { spec: { limits: { cpuShares: WEIGHT } }, ports: { clock, logger: silentLogger }, stop }
  giveDueShare(
    () => lives[0] ?? null,
    running,
    () => [7_000, 7_000],
  )
  await over
  return weights
}

describe('a build on a machine that leaves it nothing', () => {
  it('gets its share after two looks, and each of its later containers at once', async () => {
    expect(await weightsOf([{ looks: 1 }])).toEqual([undefined])
    expect(await weightsOf([{ looks: 3 }, { looks: 1 }])).toEqual([WEIGHT, WEIGHT])
  })

  it('gets it in a later container where an earlier one was just going away', async () => {
    expect(await weightsOf([{ looks: 3, isGoing: true }, { looks: 1 }])).toEqual([undefined, WEIGHT])
  })
})
