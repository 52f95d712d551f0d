import { expect, it } from 'vitest'
import { FakeClock } from '@croft/kit'
import { all, Deadline } from './deadline.js'

it('gives what comes in time, and names what does not', async () => {
  const clock = new FakeClock()
  const deadline = new Deadline(100, clock)
  expect(await deadline.within(Promise.resolve(7), 'a number')).toBe(7)
  await clock.advance(60)
  expect(deadline.leftMs).toBe(40)
  const late = deadline.within(new Promise(() => undefined), 'nothing')
  const told = expect(late).rejects.toThrow('waited 100 ms for nothing')
  await clock.advance(41)
  await told
  expect(deadline.leftMs).toBe(0)
})

it('waits for all tasks before it throws the failure of one', async () => {
  const done: string[] = []
  const slow = new Promise((resolve) => setImmediate(resolve)).then(() => done.push('slow'))
  await expect(all([Promise.reject(new Error('first')), slow])).rejects.toThrow('first')
  expect(done).toEqual(['slow'])
  expect(await all([Promise.resolve(1), Promise.resolve('two')])).toEqual([1, 'two'])
})
