import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { desiredInstanceSchema, instanceStatusSchema, type DesiredInstance, type InstanceStatus } from '@croft/protocol'
import { z } from 'zod'
import { NO_CRASHES } from './restart-policy.js'
import { SerialQueues } from '../converge/serial-queues.js'
import { writeWhole } from '../write-whole.js'

/** What is kept on disk of one instance, so that it goes on after the executor, or the host, has been away. Root's own. */
export const instanceRecordSchema = z.object({
  item: desiredInstanceSchema,
  /** How many containers it has had, one made in advance included; one of its own is called `<id>-<n>`. */
  n: z.int().nonnegative(),
  crashes: z.object({ inARow: z.int(), firstAtMs: z.number() }),
  wasReady: z.boolean(),
  /** Monotonic time does not outlive a process: ms since the epoch. */
  readySinceMs: z.number().nullable(),
  status: instanceStatusSchema,
})
export type InstanceRecord = z.infer<typeof instanceRecordSchema>

/** The record of an instance that has just been placed here. */
export function newRecord(item: DesiredInstance): InstanceRecord {
  const status: InstanceStatus = {
    id: item.id,
    observed: 'creating',
    address: null,
    handle: null,
    restarts: 0,
    startedAt: null,
    nextStartAt: null,
    exit: null,
    reason: null,
    message: null,
    crashesBeforeReady: 0,
    lastLines: [],
    cpuMillis: 0,
    memoryBytes: 0,
    build: null,
  }
  return { item, n: 0, crashes: NO_CRASHES, wasReady: false, readySinceMs: null, status }
}

/** The records of a node: `<node home>/instances/<id>.json`. Writes of one record happen in the order they were asked for. */
export class InstanceRecords {
  readonly #queues = new SerialQueues()

  constructor(private readonly folder: string) {}

  write(record: InstanceRecord): Promise<void> {
    return this.#queues.run(record.item.id, async () => {
      await writeWhole(this.#path(record.item.id), JSON.stringify(record))
    })
  }

  remove(id: string): Promise<void> {
    return this.#queues.run(id, async () => await rm(this.#path(id), { force: true }))
  }

  /** Every readable record; an unreadable one is removed, its container is then nobody's and goes too. */
  async readAll(): Promise<InstanceRecord[]> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const records: InstanceRecord[] = []
    for (const name of await readdir(this.folder)) {
      const path = join(this.folder, name)
      const parsed = name.endsWith('.json') ? instanceRecordSchema.safeParse(await readJson(path)) : undefined
      if (parsed?.success === true) records.push(parsed.data)
      else await rm(path, { force: true })
    }
    return records
  }

  #path(id: string): string {
    return join(this.folder, `${id}.json`)
  }
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
