import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import { ServiceUnavailableError } from '@croft/garden-api'
import { run, waitFor } from '@croft/kit'
import { image, makeHome, output, type TestHome } from './support/backend-rig.js'

const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let home: TestHome
let backend: LinuxBackend

beforeAll(async () => {
  home = await makeHome()
  backend = await home.open()
  await backend.recover()
})
afterAll(async () => {
  await backend.close()
  await home.clean()
})

/** The file that freezes a container. */
async function freezerFile(handle: string): Promise<string> {
  const { cgroupVersion } = await backend.capabilities()
  const at = `croft/${home.index}/${handle}`
  return cgroupVersion === 1 ? `/sys/fs/cgroup/freezer/${at}/freezer.state` : `/sys/fs/cgroup/${at}/cgroup.freeze`
}

describe('a group of containers', () => {
  it('runs on when one of it cannot be frozen', async () => {
    const [one, two, broken] = await Promise.all(
      ['one', 'two', 'broken'].map(async (handle) => await backend.create({ ...image, handle })),
    )
    if (one === undefined || two === undefined || broken === undefined) throw new Error('three containers')
    await backend.pause([two.handle])
    const file = await freezerFile(broken.handle)
    await run('mount', ['--bind', '/dev/full', file], { timeoutMs: 5000 }) // takes no writes
    try {
      const paused = backend.pause([one.handle, broken.handle, two.handle])
      await expect(paused).rejects.toThrow(ServiceUnavailableError)
      await expect(paused).rejects.toThrow('container broken cannot be frozen now')
    } finally {
      await run('umount', [file], { timeoutMs: 5000 })
    }
    expect(await output(one, 'echo running')).toBe('running\n')
    await expect(output(two, 'echo frozen before')).rejects.toThrow('paused')
    for (const { handle } of [one, two, broken]) await backend.destroy(handle)
  })
})

describe('a container of the least weight', () => {
  it.runIf(isLong)('gives way to all others, and is stopped at once where they leave it nothing', async () => {
    const spin = (count: number): string => `for n in $(seq ${count}); do (while :; do :; done) & done; wait`
    const calm = await backend.create({ ...image, handle: 'calm', limits: { cpu: { weight: 2 } } })
    await calm.run({ path: '/bin/sh', args: ['-c', spin(200)] })
    await waitFor(async () => (await calm.metrics()).pids.current > 200, { what: '200 processes', timeoutMs: 30_000 })
    const busy = await backend.create({ ...image, handle: 'busy', limits: { cpu: { weight: 1000 } } })
    await busy.run({ path: '/bin/sh', args: ['-c', spin(2 * availableParallelism())] })
    const { cgroupVersion } = await backend.capabilities()
    const file = `/sys/fs/cgroup/${cgroupVersion === 1 ? 'cpu/' : ''}croft/${home.index}/calm/cpu.idle`
    expect(readFileSync(file, 'utf8').trim()).toBe('1')
    const usage = async (): Promise<number> => (await calm.metrics()).cpu.usageNs
    const [before, others] = [await usage(), (await busy.metrics()).cpu.usageNs]
    await waitFor(async () => (await busy.metrics()).cpu.usageNs - others > 2e9, { what: 'work', timeoutMs: 60_000 })
    expect((await usage()) - before).toBeLessThan(2e8) // a tenth of what the other one had
    await calm.stop({ kill: true }) // throws when a process does not die
    expect((await calm.metrics()).pids.current).toBeLessThan(5)
    expect(readFileSync(file, 'utf8').trim()).toBe('1')
    for (const { handle } of [calm, busy]) await backend.destroy(handle)
  })
})
