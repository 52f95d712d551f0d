import { messageOf } from '@croft/kit'
import { ServiceUnavailableError } from '@croft/garden-api'
import type { Cgroups } from './cgroups.js'

/**
 * Freezes all of a group of containers, or leaves all as they were. Answers those that were not frozen before.
 * @throws ServiceUnavailableError naming the one that does not stand still
 */
export async function pauseAll(cgroups: Cgroups, handles: readonly string[]): Promise<string[]> {
  const fresh = [...new Set(handles)].filter((handle) => !cgroups.isPaused(handle))
  const results = await Promise.allSettled(fresh.map(async (handle) => await cgroups.pause(handle)))
  const failed = results.findIndex((result) => result.status === 'rejected')
  if (failed < 0) return fresh
  /* whatever could not be frozen may not take a thaw either */
  await Promise.allSettled(fresh.map(async (handle) => await cgroups.resume(handle)))
  const { reason } = results[failed] as PromiseRejectedResult
  throw new ServiceUnavailableError(`container ${fresh[failed]} cannot be frozen now: ${messageOf(reason)}`, reason)
}

/** Lets containers run on. Answers those that were frozen. */
export async function resumeAll(cgroups: Cgroups, handles: readonly string[]): Promise<string[]> {
  const frozen = [...new Set(handles)].filter((handle) => cgroups.isPaused(handle))
  await Promise.all(frozen.map(async (handle) => await cgroups.resume(handle)))
  return frozen
}
