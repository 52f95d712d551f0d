import type { EntityManager } from 'typeorm'

/** What is watched by whom: `routes` by routers, `node:<id>` by that node. */
export type RevisionName = 'routes' | `node:${string}`

/**
 * Raises a counter inside the caller's transaction and returns the new value. The row lock is held to the commit, so that
 * revisions become visible in their order; a sequence would not promise that. Sends a notification that only shortens waits.
 */
export async function bumpRevision(manager: EntityManager, name: RevisionName): Promise<number> {
  const rows: { value: string }[] = await manager.query(
    `WITH bumped AS (
       INSERT INTO revision (name, value) VALUES ($1, 1)
       ON CONFLICT (name) DO UPDATE SET value = revision.value + 1 RETURNING value)
     SELECT value, pg_notify('croft', $2) FROM bumped`,
    [name, `revision ${name}`],
  )
  return Number(rows[0]?.value)
}

/** The present value; 0 before the first bump. */
export async function readRevision(manager: EntityManager, name: RevisionName): Promise<number> {
  const rows: { value: string }[] = await manager.query('SELECT value FROM revision WHERE name = $1', [name])
  return Number(rows[0]?.value ?? 0)
}
