import { readdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import { run, waitFor } from '@croft/kit'
import { image, makeHome, sh, type TestHome } from './support/backend-rig.js'
import { settledTraces, tracesOf } from './support/traces.js'

const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const COUNT = isLong ? 200 : 4
/** Of the platform for each idle container: its shim, its first process, and what the kernel keeps for it. */
const MAX_BYTES_EACH = 1_500_000
const MAX_ADOPTION_MS = 1_000
const MAX_REMOVAL_MS = (30_000 * Math.max(COUNT, 50)) / 500

/** Memory that the home's cgroups are charged with, kernel memory included. */
async function chargedBytes(home: TestHome): Promise<number> {
  const read = async (path: string): Promise<number> => Number(await readFile(path, 'utf8'))
  const name = `croft/${home.index}`
  return await read(`/sys/fs/cgroup/memory/${name}/memory.usage_in_bytes`).catch(
    async () => await read(`/sys/fs/cgroup/${name}/memory.current`),
  )
}

describe(`${COUNT} idle containers at once`, () => {
  let home: TestHome
  let backend: LinuxBackend
  let nothing: string[]
  const handles = Array.from({ length: COUNT }, (_, number) => `idle-${number}`)

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
    const fresh = await tracesOf(home)
    await backend.create({ ...image, handle: 'first' }) // what is made once for all of them
    await backend.destroy('first')
    nothing = await settledTraces(home, fresh)
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  it('are all made, and take little', async () => {
    const before = await chargedBytes(home)
    const made = await Promise.allSettled(handles.map(async (handle) => await backend.create({ ...image, handle })))
    expect(made.filter(({ status }) => status === 'rejected')).toEqual([])
    const each = ((await chargedBytes(home)) - before) / COUNT
    console.log(`each of ${COUNT} containers: ${Math.round(each / 1000)} kB`)
    expect(each).toBeLessThan(MAX_BYTES_EACH)
  })

  it('answer, each for itself, in one metrics call', async () => {
    const metrics = await backend.bulkMetrics(handles)
    expect([...metrics.values()].map((one) => ('value' in one ? one.value.pids.current : one.error))).toEqual(
      handles.map(() => 1),
    )
  })

  it('are adopted within a second by a daemon that starts anew, which holds few files for them', async () => {
    await backend.close()
    backend = await home.open()
    const began = performance.now()
    const report = await backend.recover()
    const tookMs = performance.now() - began
    console.log(`${COUNT} containers adopted in ${Math.round(tookMs)} ms`)
    expect(report.adopted.toSorted()).toEqual(handles.toSorted())
    expect(report.removed).toEqual([])
    expect(tookMs).toBeLessThan(MAX_ADOPTION_MS)
    expect((await readdir('/proc/self/fd')).length).toBeLessThan(100 + 8 * COUNT)
    const last = await backend.lookup(handles.at(-1) ?? '')
    expect(await (await last.run(sh('exit 7'))).wait()).toMatchObject({ exitCode: 7 })
  })

  it('are all destroyed in time, and leave nothing', async () => {
    const began = performance.now()
    await Promise.all(handles.map(async (handle) => await backend.destroy(handle)))
    const tookMs = performance.now() - began
    console.log(`${COUNT} containers destroyed in ${Math.round(tookMs)} ms on ${availableParallelism()} cores`)
    expect(tookMs).toBeLessThan(MAX_REMOVAL_MS)
    expect(await settledTraces(home, nothing)).toEqual(nothing)
    await backend.close() // which ends its own tools
    const isNothingLeft = async (): Promise<boolean> =>
      (await run('pgrep', ['--full', '--count', home.dir], { timeoutMs: 5_000 }).catch(() => null)) === null
    await waitFor(isNothingLeft, { what: 'every process of the home to end', timeoutMs: 2_000 })
  })
})
