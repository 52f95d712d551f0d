import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { start } from '@croft/kit'
import { DepotInUseError, lockDepot } from './depot-lock.js'

let dir: string
beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'depot-lock-'))))
afterEach(async () => await rm(dir, { recursive: true, force: true }))

/** Another process that holds the lock until its standard input ends or it is killed. */
async function holder(): Promise<ReturnType<typeof start>> {
  const child = start('flock', [dir, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  if (child.stdout !== null) await once(child.stdout, 'data')
  return child
}

it('refuses a depot that another process has, and says which', async () => {
  const other = await holder()
  await expect(lockDepot(dir)).rejects.toThrow(DepotInUseError)
  await expect(lockDepot(dir)).rejects.toThrow(`another daemon has the depot ${dir}`)
  other.stdin?.end()
  await once(other, 'exit')
  await (await lockDepot(dir)).release()
})

it('keeps other processes out until its last user here has released it', async () => {
  const tryIt = async (): Promise<number> => {
    const child = start('flock', ['--nonblock', '--conflict-exit-code', '3', dir, 'true'])
    return ((await once(child, 'exit')) as [number])[0]
  }
  const locks = await Promise.all([lockDepot(dir), lockDepot(dir)])
  expect(await tryIt()).toBe(3)
  await locks[0].release()
  await locks[0].release()
  expect(await tryIt()).toBe(3)
  await locks[1].release()
  expect(await tryIt()).toBe(0)
})
