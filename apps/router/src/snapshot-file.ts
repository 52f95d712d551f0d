import { open, readFile, rename } from 'node:fs/promises'
import { errnoOf, messageOf, type Logger } from '@croft/kit'
import { routeSchema } from '@croft/protocol'
import { z } from 'zod'

/** An instance that left the table while requests to it may still be in flight. */
const drainingSchema = z.object({ address: z.string(), instanceId: z.uuid() })
export type Draining = z.infer<typeof drainingSchema>

const snapshotFileSchema = z.object({
  version: z.literal(1),
  epoch: z.string(),
  revision: z.int(),
  items: z.array(routeSchema),
  draining: z.array(drainingSchema),
})

/** What the router keeps of the controller's word, so that it can serve for ever without it. */
export type KeptTable = Omit<z.infer<typeof snapshotFileSchema>, 'version'>

/** The kept table; null when there is none or it cannot be read (which is logged: the router then waits for the controller). */
export async function readSnapshotFile(path: string, logger: Logger): Promise<KeptTable | null> {
  try {
    const { epoch, revision, items, draining } = snapshotFileSchema.parse(JSON.parse(await readFile(path, 'utf8')))
    return { epoch, revision, items, draining }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') logger.error('kept-table-unreadable', { path, why: messageOf(error) })
    return null
  }
}

/** Replaces the kept table; after a power cut the file is the old or the new one, never half of one. */
export async function writeSnapshotFile(path: string, table: KeptTable): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(JSON.stringify({ version: 1, ...table }))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const folder = await open(path.slice(0, path.lastIndexOf('/')), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
