import { tmpdir } from 'node:os'
import { FakeClock, waitFor } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { Receptions } from './receptions.js'

function rig(home = tmpdir()) {
  const clock = new FakeClock()
  const receptions = new Receptions({ home }, clock)
  const waits: string[] = []
  const begun: string[] = []
  const begin = async (name: string, gone = new AbortController().signal): Promise<() => void> => {
    const [team = ''] = name.split('.')
    const onWait = (why: string): void => void waits.push(`${name}: ${why}`)
    const end = await receptions.begin({ team, bytes: 1 }, { gone, waitMs: 1_000, onWait })
    begun.push(name)
    return end
  }
  const several = (team: string, count: number) =>
    Promise.all(Array.from({ length: count }, (_, index) => begin(`${team}.${index}`)))
  const waiting = (name: string) =>
    waitFor(() => waits.some((text) => text.startsWith(`${name}: `)), { what: `${name} to wait`, timeoutMs: 5_000 })
  return { clock, begin, several, begun, waits, waiting }
}

describe('receptions', () => {
  it('of a team with its share wait in their order, and let another team by', async () => {
    const { begin, several, begun, waits, waiting } = rig()
    const [end] = await several('a', 4)
    const fifth = begin('a.4')
    await waiting('a.4')
    const sixth = begin('a.5')
    await waiting('a.5')
    await begin('b.0')
    end?.()
    const endFifth = await fifth
    expect(begun.slice(-2)).toEqual(['b.0', 'a.4'])
    expect(waits[0]).toBe('a.4: 4 other pushes of the team are being received')
    endFifth()
    await sixth
  })
  it('that wait for all others are not overtaken', async () => {
    const { begin, several, begun, waits, waiting } = rig()
    const [endA] = await several('a', 4)
    const [endB] = await several('b', 4)
    const first = begin('c.0')
    await waiting('c.0')
    const second = begin('a.4')
    await waiting('a.4')
    endA?.()
    await first
    expect(waits[0]).toBe('c.0: 8 other pushes are being received')
    endB?.()
    await second
    expect(begun.slice(-2)).toEqual(['c.0', 'a.4'])
  })
  it('give up after their time with when to come again, and when nobody waits any more', async () => {
    const { clock, begin, several, waiting } = rig()
    const [end] = await several('a', 4)
    const late = expect(begin('a.4')).rejects.toMatchObject({ code: 'receiving-others', status: 429, retryAfterS: 2 })
    const left = new AbortController()
    const gone = begin('a.5', left.signal)
    await waiting('a.5')
    left.abort()
    await expect(gone).rejects.toMatchObject({ code: 'receive-timeout' })
    await waiting('a.4')
    await clock.advance(1_000)
    await late
    end?.()
    await begin('a.6')
  })
  it('have their place again only once, however often they say that they are over', async () => {
    const { begin, several, waiting } = rig()
    const [end] = await several('a', 4)
    end?.()
    end?.()
    await begin('a.4')
    const sixth = begin('a.5')
    await waiting('a.5')
    end?.()
    expect(
      await Promise.race([sixth.then(() => 'goes'), new Promise((resolve) => setImmediate(resolve, 'waits'))]),
    ).toBe('waits')
  })
  it('are refused when the disk is nearly full', async () => {
    await expect(rig('/proc').begin('a.0')).rejects.toMatchObject({
      code: 'disk-nearly-full',
      status: 507,
      title: 'the disk of the platform is nearly full: 0 MiB free, 512 MiB needed',
    })
  })
})
