import { describe, expect, it } from 'vitest'
import { PushLock, type LockAnswer, type Pusher } from './push-lock.js'

const pusher = (pushId: string): Pusher => ({ pushId, author: pushId })

function rig() {
  const lock = new PushLock()
  const waits: string[] = []
  const take = (id: string, signal = new AbortController().signal): Promise<LockAnswer> =>
    lock.acquire('app', pusher(id), { signal, onWait: (holder) => waits.push(`${id} waits for ${holder.pushId}`) })
  return { lock, waits, take }
}

function release(answer: LockAnswer): void {
  if (answer.kind !== 'held') throw new Error(`not held but ${answer.kind}`)
  answer.release()
}

describe('the push lock of an app', () => {
  it('lets one build, one wait, and the next one take the place of the one that waits', async () => {
    const { take, waits } = rig()
    const first = await take('first')
    const second = take('second')
    const third = take('third')
    expect(await second).toEqual({ kind: 'superseded', by: pusher('third') })
    expect(waits).toEqual(['second waits for first', 'third waits for first'])
    release(first)
    const held = await third
    expect(held.kind).toBe('held')
  })
  it('is free again once nobody waits', async () => {
    const { lock, take } = rig()
    release(await take('first'))
    expect(lock.holder('app')).toBeUndefined()
    expect((await take('second')).kind).toBe('held')
  })
  it('is not given to one that gave up', async () => {
    const { lock, take } = rig()
    const first = await take('first')
    const left = new AbortController()
    const second = take('second', left.signal)
    left.abort()
    expect(await second).toEqual({ kind: 'gave-up' })
    release(first)
    expect(lock.holder('app')).toBeUndefined()
  })
  it('cannot be given back twice, so that nobody frees what another holds', async () => {
    const { lock, take } = rig()
    const first = await take('first')
    const second = take('second')
    release(first)
    await second
    release(first)
    expect(lock.holder('app')?.pushId).toBe('second')
  })
  it('is each app’s own', async () => {
    const { lock, take } = rig()
    await take('first')
    const other = await lock.acquire('other', pusher('b'), {
      signal: new AbortController().signal,
      onWait: () => undefined,
    })
    expect(other.kind).toBe('held')
  })
})
