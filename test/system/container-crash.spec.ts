import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { releaseHomeIndex, reserveHomeIndex, type LinuxBackend } from '@croft/backend-linux'
import { ContainerNotFoundError, UnrecoverableError } from '@croft/garden-api'
import { commands, Sink, waitForLog } from '@croft/garden-api/conformance'
import { run, waitFor } from '@croft/kit'
import { makeRigFolder } from './support/rig-folders.js'
import { image, leftovers, makeHome, sh, shimOf, type TestHome } from './support/backend-rig.js'

describe('the index of a home', () => {
  it('is its own, stays the same until it is given back, and is another for a home of an earlier boot', async () => {
    const homes = await Promise.all([1, 2].map(async () => await makeRigFolder('crash')))
    const [one, two] = homes as [string, string]
    try {
      const first = await reserveHomeIndex(one)
      const second = await reserveHomeIndex(two)
      expect(second).not.toBe(first)
      expect(await reserveHomeIndex(one)).toBe(first)
      expect(await readFile(join(one, 'k'), 'utf8')).toMatch(new RegExp(`^${first} [0-9a-f-]{36}\n$`))
      await releaseHomeIndex(one)
      await releaseHomeIndex(one)
      await writeFile(join(one, 'k'), `${second} 00000000-0000-0000-0000-000000000000\n`)
      expect(await reserveHomeIndex(one)).not.toBe(second)
    } finally {
      for (const dir of homes) {
        await releaseHomeIndex(dir)
        await rm(dir, { recursive: true, force: true })
      }
    }
  })
})

describe('what a container leaves', () => {
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

  const limits = { memory: { limitBytes: 64 << 20 }, disk: { byteHard: 16 << 20, scope: 'exclusive' as const } }

  it('is nothing, after it was destroyed', async () => {
    const container = await backend.create({ ...image, handle: 'gone', limits })
    const process = await container.run(commands.forever())
    await backend.destroy('gone')
    expect((await process.wait().catch((error: unknown) => error)) !== undefined).toBe(true)
    expect(await leftovers(home)).toEqual([])
  })

  it('is nothing, after its creation failed half-way', async () => {
    const bindMounts = [{ srcPath: '/nosuch/source', dstPath: '/data', mode: 'ro' as const }]
    await expect(backend.create({ ...image, handle: 'half', bindMounts, limits })).rejects.toThrow('/nosuch/source')
    await expect(backend.create({ image: { uri: 'raw:///etc/passwd' }, handle: 'half', limits })).rejects.toThrow()
    expect(await leftovers(home)).toEqual([])
    await backend.create({ ...image, handle: 'half', limits })
    await backend.destroy('half')
  })

  it('ends with its shim: a killed shim takes the processes along, and a new backend removes the rest', async () => {
    const container = await backend.create({ ...image, handle: 'orphan', limits })
    const process = await container.run({ ...sh('echo up; exec sleep 100000'), id: 'sleeper' }, { stdout: new Sink() })
    await waitForLog(container, 'sleeper', 'up')
    const pid = (await container.processes())[0]?.pid
    await backend.close()
    globalThis.process.kill(await shimOf(home, 'orphan'), 'SIGKILL')
    await expect(process.wait()).rejects.toThrow(UnrecoverableError)
    await waitFor(async () => !(await readdir('/proc')).includes(String(pid)), {
      what: 'the process to end',
      timeoutMs: 5000,
    })
    backend = await home.open()
    const report = await backend.recover()
    expect(report.removed).toEqual([{ handle: 'orphan', why: 'its shim is gone' }])
    await expect(backend.lookup('orphan')).rejects.toThrow(ContainerNotFoundError)
    expect(await leftovers(home)).toEqual([])
  })

  it('is nothing, after the whole home was cleaned while containers ran', async () => {
    for (const handle of ['a', 'b']) await (await backend.create({ ...image, handle, limits })).run(commands.forever())
    await backend.destroyAll()
    expect(await leftovers(home)).toEqual([])
    const tables = (await run('nft', ['list', 'tables'], { timeoutMs: 5000 })).stdout.toString()
    expect(tables).not.toContain(`croft_${home.index}\n`)
  })
})
