import { existsSync } from 'node:fs'
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import { ContainerNotFoundError, GardenError } from '@croft/garden-api'
import { waitFor } from '@croft/kit'
import { image, makeHome, sh, type TestHome } from './support/backend-rig.js'
import { settledTraces, tracesOf } from './support/traces.js'

const FREEZER = '/sys/fs/cgroup/freezer'
const TIMEOUT_MS = 300

/**
 * A process that cannot be killed for now: frozen in a freezer of somebody else, outside the container's own cgroups, as one
 * that waits for a disk for ever would be. cgroup v2 kills what is frozen, and there is nothing like it that a test could make.
 */
describe.skipIf(!existsSync(FREEZER))('a container with a process that does not end', () => {
  let home: TestHome
  let backend: LinuxBackend
  let nothing: string[]
  let foreign: string

  beforeAll(async () => {
    home = await makeHome()
    foreign = join(FREEZER, `spec-${process.pid}`)
    await mkdir(foreign)
    backend = await home.open({ destroyTimeoutMs: TIMEOUT_MS })
    await backend.recover()
    nothing = await tracesOf(home)
  })
  afterAll(async () => {
    await thaw()
    await backend.close()
    await home.clean()
    await rmdir(foreign)
  })

  const freeze = async (pid: number | null | undefined): Promise<void> => {
    await writeFile(join(foreign, 'cgroup.procs'), String(pid))
    await writeFile(join(foreign, 'freezer.state'), 'FROZEN')
    await waitFor(async () => (await readFile(join(foreign, 'freezer.state'), 'utf8')).trim() === 'FROZEN', {
      what: 'the process to freeze',
      timeoutMs: 2_000,
    })
  }
  const thaw = async (): Promise<void> => await writeFile(join(foreign, 'freezer.state'), 'THAWED')

  const makeStuck = async (handle: string): Promise<void> => {
    const container = await backend.create({ ...image, handle })
    await container.run(sh('exec sleep 1000'))
    await freeze((await container.processes())[0]?.pid)
  }
  const isGone = async (handle: string): Promise<boolean> =>
    await backend.lookup(handle).then(
      () => false,
      (error: unknown) => error instanceof ContainerNotFoundError,
    )
  const failure = async (promise: Promise<unknown>): Promise<GardenError> => {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(GardenError)
    return error as GardenError
  }

  it('is answered for in time, stays listed without a network, and goes as soon as it can', async () => {
    await makeStuck('stuck')
    const { containerIp } = await (await backend.lookup('stuck')).info()
    const [first, second] = await Promise.all([1, 2].map(async () => await failure(backend.destroy('stuck'))))
    expect(first).toBe(second) // the second joined the first
    expect(first).toMatchObject({ code: 'destroy-pending', status: 503, isRetryable: true, handle: 'stuck' })
    expect(first?.message).toMatch(
      /^container stuck is still being destroyed: (process \d+ does not end|waited \d+ ms for the network .*)$/,
    )
    expect((await backend.containers()).map(({ handle }) => handle)).toEqual(['stuck'])
    expect((await tracesOf(home)).filter((trace) => trace.startsWith('nft ') && trace.includes(containerIp))).toEqual(
      [],
    )
    await expect(backend.create({ ...image, handle: 'stuck' })).rejects.toThrow("Handle 'stuck' already in use")
    await thaw()
    await waitFor(async () => await isGone('stuck'), { what: 'the container to go by itself', timeoutMs: 5_000 })
    expect(await settledTraces(home, nothing)).toEqual(nothing)
  })

  it('goes with the next destroy when it can then', async () => {
    await makeStuck('again')
    await failure(backend.destroy('again'))
    await thaw()
    await backend.destroy('again')
    expect(await settledTraces(home, nothing)).toEqual(nothing)
  })

  it('keeps nobody waiting in a daemon that starts anew, and goes there', async () => {
    await makeStuck('kept')
    await backend.create({ ...image, handle: 'fine' })
    await failure(backend.destroy('kept'))
    await backend.close()
    backend = await home.open({ destroyTimeoutMs: TIMEOUT_MS })
    const report = await backend.recover()
    expect(report).toEqual({ adopted: ['fine'], removed: [] })
    expect((await backend.containers()).map(({ handle }) => handle).toSorted()).toEqual(['fine', 'kept'])
    await thaw()
    await waitFor(async () => await isGone('kept'), { what: 'the container to go by itself', timeoutMs: 5_000 })
    await backend.destroy('fine')
    expect(await settledTraces(home, nothing)).toEqual(nothing)
  })
})
