import { expect, it } from 'vitest'
import { Turnstile } from './turnstile.js'

it('lets no more in at once than it is wide, in order, also when some fail', async () => {
  const gate = new Turnstile(2)
  let inside = 0
  let most = 0
  const order: number[] = []
  const task = async (number: number): Promise<void> => {
    await gate.pass(async () => {
      inside += 1
      most = Math.max(most, inside)
      order.push(number)
      await new Promise((resolve) => setImmediate(resolve))
      inside -= 1
      if (number % 3 === 0) throw new Error('no')
    })
  }
  await Promise.allSettled(Array.from({ length: 12 }, (_, number) => task(number)))
  expect([most, inside]).toEqual([2, 0])
  expect(order).toEqual([...order].toSorted((a, b) => a - b))
})
