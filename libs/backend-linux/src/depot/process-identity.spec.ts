import { expect, it } from 'vitest'
import { identify, isAlive, killQuietly, parseStat } from './process-identity.js'

it('reads state and start of a process whose name holds brackets and spaces', () => {
  const rest = Array.from({ length: 30 }, (_, index) => String(index)).join(' ')
  expect(parseStat(`123 (a) b (c) S ${rest}\n`)).toEqual({ state: 'S', startTicks: 18 })
})

it('knows this process, and none that started at another time', async () => {
  const me = await identify(process.pid)
  expect(me?.pid).toBe(process.pid)
  if (me === null) return
  expect(await isAlive(me)).toBe(true)
  expect(await isAlive({ ...me, startTicks: me.startTicks - 1 })).toBe(false)
})

it.each([0, -1, Number.NaN])('never takes %d for a process: kill(2) would take it for many', (pid) => {
  expect(() => killQuietly(pid, 'SIGCONT')).toThrow(RangeError)
})
