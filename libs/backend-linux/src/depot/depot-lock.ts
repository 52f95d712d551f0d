import { once } from 'node:events'
import { open, type FileHandle } from 'node:fs/promises'
import { ServiceUnavailableError } from '@croft/garden-api'
import { messageOf, start } from '@croft/kit'

/** Locks of this process: a depot may be opened again in it, as a test of a restart does. */
const held = new Map<string, { file: Promise<FileHandle>; users: number }>()

/** Another daemon has the depot: two would adopt, and remove, each other's containers. */
export class DepotInUseError extends ServiceUnavailableError {
  constructor(dir: string) {
    super(`another daemon has the depot ${dir}; stop it first, or give this one a depot and an index of its own`)
  }
}

/**
 * Keeps every other process from the depot until it is released or we die.
 * @throws DepotInUseError
 */
export async function lockDepot(dir: string): Promise<{ release(): Promise<void> }> {
  const lock = held.get(dir) ?? { file: lockFile(dir), users: 0 }
  held.set(dir, lock)
  lock.users += 1
  let isReleased = false
  const release = async (): Promise<void> => {
    if (isReleased) return
    isReleased = true
    lock.users -= 1
    if (lock.users > 0) return
    held.delete(dir)
    await (await lock.file).close()
  }
  try {
    await lock.file
    return { release }
  } catch (error) {
    lock.users -= 1
    if (held.get(dir) === lock) held.delete(dir)
    throw error
  }
}

/**
 * The lock belongs to the open directory, which flock(1) shares with us for a moment; the kernel lets go of it when we end,
 * however that is.
 */
async function lockFile(dir: string): Promise<FileHandle> {
  const file = await open(dir, 'r')
  try {
    const child = start('flock', ['--nonblock', '--conflict-exit-code', '3', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', file.fd],
    })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code === 3) throw new DepotInUseError(dir)
    if (code !== 0) throw new ServiceUnavailableError(`the depot ${dir} cannot be locked: flock ended with ${code}`)
    return file
  } catch (error) {
    await file.close()
    if (error instanceof ServiceUnavailableError) throw error
    throw new ServiceUnavailableError(`the depot ${dir} cannot be locked: ${messageOf(error)}`, error)
  }
}
