import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, type Clock } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DiskFull, TooManyProcesses } from './failures.js'
import { endAtLimits } from './limit-watch.js'

const MIB = 1024 ** 2
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'limit-watch-'))
  writeFileSync(join(folder, 'file'), Buffer.alloc(2 * MIB, 'x'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Why a build that lives for five looks is ended before; null: it is not. */
async function endOf(
  folders: string[],
  diskBytes: number,
  counts: readonly number[] = [],
  overAfter = Infinity,
): Promise<unknown> {
  const stop = new AbortController()
  const ended = new Promise<void>((done) => stop.signal.addEventListener('abort', () => done()))
  let at = 0
  let looks = 0
  const clock: Clock = {
    ...systemClock,
    monotonic: () => at,
    sleep: (ms, signal) => {
      at += ms
      looks += 1
      if (looks > overAfter) endWatch()
      if (looks > 5 || signal?.aborted === true) stop.abort(null)
      return stop.signal.aborted ? Promise.reject(new Error('over')) : Promise.resolve()
    },
  }
  const metrics = () =>
    Promise.resolve({ pids: { current: counts[looks - 1] ?? 0 }, disk: { exclusiveBytes: 0 } } as never)
  const limits = { diskBytes, pids: 10 }
  const endWatch = endAtLimits(folders, () => ({ metrics }), { spec: { limits }, ports: { clock }, stop })
  await ended
  return stop.signal.reason
}

describe('a build', () => {
  it('is ended when its folders hold more than they may', async () => {
    expect(await endOf([folder], MIB)).toBeInstanceOf(DiskFull)
    expect(await endOf([folder], 3 * MIB)).toBeNull()
  })

  it('is ended also while some of it goes as it is counted', async () => {
    expect(await endOf([folder, join(folder, 'gone')], MIB)).toBeInstanceOf(DiskFull)
  })

  it('is not ended any more once all of it has ended', async () => {
    expect(await endOf([folder], 3 * MIB, [9, 10, 10], 1)).toBeNull()
    expect(await endOf([folder], MIB, [], 1)).toBeNull()
  })

  it('is ended when it has as many processes as it may at two looks in a row', async () => {
    expect(await endOf([folder], 3 * MIB, [10, 9, 10, 9])).toBeNull()
    expect(await endOf([folder], 3 * MIB, [9, 10, 10])).toBeInstanceOf(TooManyProcesses)
  })
})
