import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import { ServiceUnavailableError } from '@croft/garden-api'
import { run } from '@croft/kit'
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
