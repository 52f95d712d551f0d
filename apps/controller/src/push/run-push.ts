import type { PushJob } from './push-job.js'
import type { PushRows } from './push-rows.js'
import type { PushService } from './push.service.js'
import { PushRefused, type Refusal } from './refusal.js'

/** How a push that no git asks for ended. */
export type PushEnd = { outcome: 'deployed'; release: number } | ({ outcome: 'refused' } & Refusal)

/**
 * A push that moves no ref, with the same lock, row and recovery as one of git's. Never throws: what went wrong is in the answer,
 * and was said.
 */
export async function runPush(job: PushJob, pushes: PushService, rows: PushRows): Promise<PushEnd> {
  try {
    await pushes.received(job)
    await pushes.deploy(job)
    await pushes.committed(job)
    return { outcome: 'deployed', release: (await rows.find(job.id))?.releaseVersion ?? 0 }
  } catch (error) {
    const refusal = error instanceof PushRefused ? error.refusal : pushes.refusalOf(job, error)
    return { outcome: 'refused', ...refusal }
  } finally {
    await pushes.ended(job)
  }
}
