import { readFile, writeFile } from 'node:fs/promises'
import { errnoOf } from '@croft/kit'
import { LimitBelowUseError } from '@croft/garden-api'
import { undoValue, type LimitWrite } from './limits.js'

type PathOf = (write: LimitWrite) => string

/** Writes a new container's limits. */
export async function writeLimits(pathOf: PathOf, writes: readonly LimitWrite[]): Promise<void> {
  for (const write of writes) {
    try {
      await writeFile(pathOf(write), write.value)
    } catch (error) {
      if (write.isOptional !== true) throw error
    }
  }
}

/**
 * Writes a running container's limits, all or none; the answer takes them back, the last first.
 * @throws LimitBelowUseError
 */
export async function changeFiles(pathOf: PathOf, writes: readonly LimitWrite[]): Promise<() => Promise<void>> {
  const done: { path: string; before: string }[] = []
  const undo = async (): Promise<void> => {
    for (const { path, before } of done.toReversed()) await writeFile(path, before)
  }
  for (const write of writes) {
    const path = pathOf(write)
    try {
      const before = undoValue(write, await readFile(path, 'utf8'))
      await writeFile(path, write.value)
      done.push({ path, before })
    } catch (error) {
      if (write.isOptional === true && errnoOf(error) === 'ENOENT') continue
      await undo()
      if (write.controller === 'memory' && errnoOf(error) === 'EBUSY') throw new LimitBelowUseError('memory')
      throw error
    }
  }
  return undo
}
