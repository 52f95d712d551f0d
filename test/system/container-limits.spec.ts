import { readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import { ServiceUnavailableError } from '@croft/garden-api'
import { waitFor } from '@croft/kit'
import { image, makeHome, output, type TestHome } from './support/backend-rig.js'

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

/** Takes a container's freezer away behind the backend's back, as when its cgroup is being removed. */
async function removeFreezer(handle: string): Promise<void> {
  const { cgroupVersion } = await backend.capabilities()
  const base = `/sys/fs/cgroup${cgroupVersion === 1 ? '/freezer' : ''}`
  const dir = `${base}/croft/${home.index}/${handle}`
  const pids = (await readFile(join(dir, 'main/cgroup.procs'), 'utf8')).trim().split('\n')
  for (const pid of pids) await writeFile(join(base, 'cgroup.procs'), pid)
  const isRemoved = async (): Promise<boolean> => {
    for (const path of [join(dir, 'main'), dir]) await rmdir(path)
    return true
  }
  await waitFor(isRemoved, { what: 'the cgroup to be empty', timeoutMs: 5000 })
}

describe('a group of containers', () => {
  it('runs on when one of it cannot be frozen', async () => {
    const [one, two, broken] = await Promise.all(
      ['one', 'two', 'broken'].map(async (handle) => await backend.create({ ...image, handle })),
    )
    if (one === undefined || two === undefined || broken === undefined) throw new Error('three containers')
    await backend.pause([two.handle])
    await removeFreezer(broken.handle)
    const paused = backend.pause([one.handle, broken.handle, two.handle])
    await expect(paused).rejects.toThrow(ServiceUnavailableError)
    await expect(paused).rejects.toThrow('container broken cannot be frozen now')
    expect(await output(one, 'echo running')).toBe('running\n')
    await expect(output(two, 'echo frozen before')).rejects.toThrow('paused')
    for (const { handle } of [one, two, broken]) await backend.destroy(handle)
  })
})
