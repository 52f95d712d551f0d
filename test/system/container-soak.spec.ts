import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bareEnv, run } from '@croft/kit'
import { makeHome, root, type TestHome } from './support/backend-rig.js'
import { join } from 'node:path'
import { settledTraces, tracesOf } from './support/traces.js'

const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const CYCLES = isLong ? 500 : 50
/** Cycles after which code is compiled, caches are filled and buffers have their size. */
const WARM_UP = isLong ? 200 : 30
const MAX_GROWTH = 0.05

describe(`a daemon that has made, used and destroyed ${CYCLES} containers`, () => {
  let home: TestHome
  beforeAll(async () => (home = await makeHome()))
  afterAll(async () => await home.clean())

  it('has left nothing, holds no more files than before, and has hardly grown', async () => {
    const { images: _images, logger: _logger, ...options } = home.options
    const before = await tracesOf(home)
    const task = JSON.stringify({ options, root, cycles: CYCLES, warmUp: WARM_UP })
    const program = join(import.meta.dirname, 'support/soaked-daemon.mjs')
    const { stdout } = await run(process.execPath, ['--expose-gc', program, task], {
      timeoutMs: 110_000,
      env: bareEnv(),
    })
    const { first, last } = JSON.parse(stdout.toString()) as Record<'first' | 'last', { heap: number; files: number }>
    console.log(`heap ${first.heap} -> ${last.heap} bytes, ${first.files} -> ${last.files} open files`)
    expect(last.files).toBeLessThanOrEqual(first.files)
    expect(last.heap).toBeLessThan(first.heap * (1 + MAX_GROWTH))
    /* a daemon keeps its home's table, ranges and route */
    const isHomes = (trace: string): boolean => trace.startsWith('nft ') || trace.startsWith('route ')
    const after = (await settledTraces(home, before)).filter((trace) => !isHomes(trace))
    expect(after).toEqual(before.filter((trace) => !isHomes(trace)))
  })
})
