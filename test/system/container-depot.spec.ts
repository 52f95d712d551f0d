import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import { GardenError, type Container } from '@croft/garden-api'
import { bareEnv, run, waitFor } from '@croft/kit'
import { image, lib, makeHome, output, sh, type TestHome } from './support/backend-rig.js'
import { settledTraces, tracesOf } from './support/traces.js'

const failure = async (promise: Promise<unknown>): Promise<GardenError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(GardenError)
  return error as GardenError
}

describe('a depot that is not as it was left', () => {
  let home: TestHome
  let nothing: string[]

  const depot = (...path: string[]): string => join(home.dir, 'containers', ...path)
  const withBackend = async <T>(work: (backend: LinuxBackend) => Promise<T>): Promise<T> => {
    const backend = await home.open()
    try {
      await backend.recover()
      return await work(backend)
    } finally {
      await backend.close()
    }
  }

  beforeAll(async () => {
    home = await makeHome()
    await withBackend(async (backend) => {
      await backend.create({ ...image, handle: 'kept' })
      await (await backend.lookup('kept')).run({ ...sh('exec sleep 1000'), id: 'sleeper' })
      await backend.create({ ...image, handle: 'once' })
      await backend.destroy('once')
    })
    nothing = await tracesOf(home)
  })
  afterAll(async () => await home.clean())

  const DAMAGES: [string, (handle: string) => Promise<void>, string][] = [
    [
      'whose state is empty',
      async (handle) => await truncate(depot(handle, 'state.json')),
      'its journal is not readable',
    ],
    [
      'whose state is torn',
      async (handle) => await truncate(depot(handle, 'state.json'), 40),
      'its journal is not readable',
    ],
    [
      'whose state is other JSON',
      async (handle) => await writeFile(depot(handle, 'state.json'), '[{"slot":"x"}]'),
      'its journal is not readable',
    ],
    ['without a state', async (handle) => await rm(depot(handle, 'state.json')), 'its journal is not readable'],
    ['without a spec', async (handle) => await rm(depot(handle, 'spec.json')), 'its journal is not readable'],
    [
      'whose state is a folder',
      async (handle) => {
        await rm(depot(handle, 'state.json'))
        await mkdir(depot(handle, 'state.json'))
      },
      'its journal is not readable',
    ],
    [
      'of a boot before',
      async (handle) => {
        const text = await readFile(depot(handle, 'state.json'), 'utf8')
        await writeFile(depot(handle, 'state.json'), text.replace(/"bootId":"[^"]+"/, '"bootId":"another"'))
      },
      'the host was started anew',
    ],
    [
      'without a folder at all',
      async (handle) => await rm(depot(handle), { recursive: true }),
      'it has a cgroup but no journal',
    ],
  ]
  const isShort = process.env['CROFT_TEST_LONG'] === undefined
  it.each(isShort ? DAMAGES.filter(([what]) => /torn|boot|at all/.test(what)) : DAMAGES)(
    'loses the container %s, nothing else, and is clean',
    async (_what, damage, why) => {
      await withBackend(async (backend) => {
        const container = await backend.create({ ...image, handle: 'damaged' })
        await container.run(sh('exec sleep 1000'))
      })
      await damage('damaged')
      const backend = await home.open()
      try {
        expect(await backend.recover()).toEqual({ adopted: ['kept'], removed: [{ handle: 'damaged', why }] })
        expect((await (await backend.lookup('kept')).processes()).map(({ id, state }) => [id, state])).toEqual([
          ['sleeper', 'running'],
        ])
        expect(await settledTraces(home, nothing)).toEqual(nothing)
      } finally {
        await backend.close()
      }
    },
  )

  it('keeps what somebody else put there, and takes a copied folder for no container', async () => {
    await mkdir(depot('lost+found'))
    await writeFile(depot('notes.txt'), 'mine')
    await cp(depot('kept'), depot('copy'), { recursive: true })
    const backend = await home.open()
    try {
      const report = await backend.recover()
      expect(report).toEqual({
        adopted: ['kept'],
        removed: [{ handle: 'copy', why: 'its journal is of another container' }],
      })
      const names = async (): Promise<string[]> => (await readdir(depot())).toSorted()
      const isGone = async (): Promise<boolean> => !(await names()).some((name) => name.startsWith('.gone-'))
      await waitFor(isGone, { what: 'what was removed to be gone', timeoutMs: 10_000 })
      expect(await names()).toEqual(['kept', 'lost+found', 'notes.txt'])
      expect(await output(await backend.lookup('kept'), 'echo fine')).toBe('fine\n')
      await writeFile(depot('taken'), 'no folder')
      expect(await failure(backend.create({ ...image, handle: 'taken' }))).toMatchObject({ code: 'already-in-use' })
      expect(await readFile(depot('taken'), 'utf8')).toBe('no folder')
    } finally {
      await backend.close()
      for (const name of ['lost+found', 'notes.txt', 'taken']) await rm(depot(name), { recursive: true, force: true })
    }
    expect(await settledTraces(home, nothing)).toEqual(nothing)
  })

  it('is served on when an image of a container has gone meanwhile', async () => {
    const layer = join(home.dir, 'layer')
    await run('cp', ['-a', image.image?.uri.replace('raw://', '') ?? '', layer], { timeoutMs: 20_000 })
    await withBackend(async (backend) => await backend.create({ image: { uri: `raw://${layer}` }, handle: 'based' }))
    await rm(layer, { recursive: true })
    await withBackend(async (backend) => {
      expect((await backend.containers()).map(({ handle }) => handle).toSorted()).toEqual(['based', 'kept'])
      const error = await failure(backend.create({ image: { uri: `raw://${layer}` }, handle: 'more' }))
      expect(error).toMatchObject({ code: 'image', status: 422 })
      await backend.destroy('based')
      expect(await settledTraces(home, nothing)).toEqual(nothing)
    })
  })

  it('is not served by two daemons at once', async () => {
    const { images: _images, logger: _logger, ...options } = home.options
    const script = `
      import { createLinuxBackend } from '${lib('backend-linux')}'
      await createLinuxBackend({ ...${JSON.stringify(options)}, images: {}, logger: console })`
    await withBackend(async () => {
      const second = run(process.execPath, ['--input-type=module', '-e', script], { timeoutMs: 20_000, env: bareEnv() })
      await expect(second).rejects.toThrow(`another daemon has the depot ${depot()}`)
    })
    await run(process.execPath, ['--input-type=module', '-e', script], { timeoutMs: 20_000, env: bareEnv() })
  })
})

describe('a home that is full', () => {
  let home: TestHome
  let backend: LinuxBackend
  afterEach(async () => {
    await backend.close()
    await home.clean()
  })

  it('has no more containers than it may, and one more when one has gone', async () => {
    home = await makeHome()
    backend = await home.open({ maxContainers: 2 })
    await backend.recover()
    for (const handle of ['a', 'b']) await backend.create({ ...image, handle })
    const error = await failure(backend.create({ ...image, handle: 'c' }))
    expect(error).toMatchObject({ status: 503, isRetryable: true, message: 'max containers reached' })
    await backend.destroy('a')
    await backend.create({ ...image, handle: 'c' })
  })

  it('says when its addresses are all taken, and gives one again', async () => {
    home = await makeHome()
    backend = await home.open({ network: (home.options.network ?? '').replace('/22', '/29') })
    await backend.recover()
    const made: Container[] = []
    for (let number = 0; number < 5; number += 1) made.push(await backend.create({ ...image, handle: `n${number}` }))
    const error = await failure(backend.create({ ...image, handle: 'more' }))
    expect(error).toMatchObject({ status: 503, isRetryable: true })
    expect(error.message).toBe('all addresses of this node are taken')
    await backend.destroy('n3')
    await backend.create({ ...image, handle: 'more' })
  })
})

describe('a depot on a full disk', () => {
  const PAGE = 4096
  let home: TestHome
  let backend: LinuxBackend

  beforeAll(async () => {
    home = await makeHome()
    await mkdir(join(home.dir, 'containers'), { mode: 0o700 })
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=0700', 'tmpfs', join(home.dir, 'containers')], {
      timeoutMs: 5_000,
    })
    backend = await home.open()
    await backend.recover()
  })
  afterAll(async () => {
    await backend.close()
    await run('umount', ['--lazy', join(home.dir, 'containers')], { timeoutMs: 5_000 })
    await home.clean()
  })

  /** Leaves so many pages free: whatever is written needs one at least. */
  const leave = async (pages: number): Promise<void> => {
    const filler = join(home.dir, 'containers/filler')
    await rm(filler, { force: true })
    const { stdout } = await run('df', ['--output=avail', '-B1', join(home.dir, 'containers')], { timeoutMs: 5_000 })
    const free = Number(stdout.toString().split('\n')[1])
    await writeFile(filler, Buffer.alloc(free - pages * PAGE))
  }

  const isLong = process.env['CROFT_TEST_LONG'] !== undefined
  it('refuses a container whichever of its files has no room, and makes none by half', async () => {
    await leave(100)
    const fresh = await tracesOf(home)
    await backend.create({ ...image, handle: 'probe' })
    await backend.destroy('probe')
    const nothing = await settledTraces(home, fresh)
    let refused = 0
    for (let pages = 0; ; pages += isLong ? 1 : 3) {
      await leave(pages)
      const error = await backend.create({ ...image, handle: 'full' }).then(
        () => undefined,
        (reason: unknown) => reason as GardenError,
      )
      if (error === undefined) break
      refused += 1
      expect(error).toMatchObject({ status: 503, isRetryable: true })
      expect(error.message).toMatch(/is full: free some of it|ENOSPC|No space left/)
      expect(await settledTraces(home, nothing)).toEqual(nothing)
    }
    expect(refused).toBeGreaterThan(1)
    await leave(0)
    const full = await backend.lookup('full')
    expect(await failure(full.setProperty('a', 'x'.repeat(100_000)))).toMatchObject({ status: 503, isRetryable: true })
    expect(await full.properties()).toEqual({})
    await backend.destroy('full')
    expect(await settledTraces(home, nothing)).toEqual(nothing)
  })
})
