import { Injectable } from '@nestjs/common'
import type { AppId, BuildId, InstanceId, NodeId, ReleaseId, TeamId } from '@croft/kit'
import type { InstanceLimits } from '@croft/protocol'
import type { EntityManager } from 'typeorm'
import { bumpRevision, type RevisionName } from '../db/revision.js'
import { notify } from '../db/signals.js'

export interface NewServiceInstance {
  teamId: TeamId
  appId: AppId
  type: string
  slot: number
  releaseId: ReleaseId
  releaseVersion: number
  limits: InstanceLimits
  /** Where it is placed already: the caller has raised that node's revision in the same transaction. */
  nodeId?: NodeId | null
}

export interface NewBuildInstance {
  build: { id: BuildId; appId: AppId; teamId: TeamId }
  limits: InstanceLimits
  /** As a service's. */
  nodeId: NodeId | null
}

/** Where the instances of builds are counted. */
export const BUILD_PLACE = { kind: 'build', type: 'build', slot: 1 } as const

/**
 * The writer of `instance`, used by the control loop (deployer and reconciler) and, to insert a build, by the build module. What is
 * inserted without a node the reconciler places. `intent` moves forward only: run, drain, stop.
 */
@Injectable()
export class InstanceWriter {
  /** Inserts a service instance; the reconciler hears of it when the transaction commits. */
  async insertService(manager: EntityManager, wanted: NewServiceInstance): Promise<{ id: InstanceId }> {
    const rows = await manager.query<{ id: InstanceId }[]>(
      `INSERT INTO instance (team_id, app_id, kind, type, slot, release_id, release_version, intent, limits, node_id)
       VALUES ($1, $2, 'service', $3, $4, $5, $6, 'run', $7, $8) RETURNING id`,
      [
        wanted.teamId,
        wanted.appId,
        wanted.type,
        wanted.slot,
        wanted.releaseId,
        wanted.releaseVersion,
        JSON.stringify(wanted.limits),
        wanted.nodeId ?? null,
      ],
    )
    await notify(manager, `app ${wanted.appId}`)
    return { id: idOf(rows) }
  }

  /**
   * Inserts the instance of a build; it is told to stop once the build's row no longer runs in it. The caller notifies, for it has more
   * to say of the build, and the reconciler of one without a node.
   */
  async insertBuild(manager: EntityManager, wanted: NewBuildInstance): Promise<{ id: InstanceId }> {
    const rows = await manager.query<{ id: InstanceId }[]>(
      `INSERT INTO instance (team_id, app_id, kind, type, slot, build_id, intent, limits, node_id)
       VALUES ($1, $2, 'build', $3, $4, $5, 'run', $6, $7) RETURNING id`,
      [
        wanted.build.teamId,
        wanted.build.appId,
        BUILD_PLACE.type,
        BUILD_PLACE.slot,
        wanted.build.id,
        JSON.stringify(wanted.limits),
        wanted.nodeId,
      ],
    )
    return { id: idOf(rows) }
  }

  /** Puts instances on nodes; what was placed meanwhile stays where it is. */
  async place(
    manager: EntityManager,
    placements: readonly { instanceId: InstanceId; nodeId: string }[],
    errors: readonly { instanceId: InstanceId; error: string }[],
  ): Promise<void> {
    const watched: RevisionName[] = []
    for (const { instanceId, nodeId } of placements) {
      await manager.query(
        `UPDATE instance SET node_id = $2, placement_error = NULL WHERE id = $1 AND node_id IS NULL AND gone_at IS NULL`,
        [instanceId, nodeId],
      )
      watched.push(`node:${nodeId}`)
    }
    for (const { instanceId, error } of errors) {
      await manager.query(`UPDATE instance SET placement_error = $2 WHERE id = $1 AND node_id IS NULL`, [
        instanceId,
        error,
      ])
    }
    await bumpAll(manager, watched)
  }

  /** Takes instances out of the route table; they serve what they have until the reconciler stops them. */
  async drain(manager: EntityManager, ids: readonly InstanceId[]): Promise<void> {
    if (ids.length === 0) return
    const nodes = await nodesOf(manager, ids)
    const revision = await bumpAll(manager, [...nodes, 'routes'])
    await manager.query(
      `UPDATE instance SET intent = 'drain', drain_revision = $2, drain_started_at = now()
       WHERE id = ANY($1) AND intent = 'run' AND gone_at IS NULL`,
      [ids, revision.get('routes')],
    )
  }

  /** Ends one; nothing happens when it is gone. */
  async stop(manager: EntityManager, id: InstanceId): Promise<void> {
    await this.stopAll(manager, [id])
  }

  /** Tells the nodes to end them. A service must have been drained before. */
  async stopAll(manager: EntityManager, ids: readonly InstanceId[]): Promise<void> {
    if (ids.length === 0) return
    await manager.query(`UPDATE instance SET intent = 'stop' WHERE id = ANY($1) AND intent <> 'stop'`, [ids])
    await bumpAll(manager, await nodesOf(manager, ids))
  }

  /** They are history: their nodes hear of them no longer. */
  async markGone(manager: EntityManager, ids: readonly InstanceId[]): Promise<void> {
    if (ids.length === 0) return
    const nodes = await nodesOf(manager, ids)
    await manager.query(
      `UPDATE instance SET gone_at = now() WHERE id = ANY($1) AND intent = 'stop' AND gone_at IS NULL`,
      [ids],
    )
    await bumpAll(manager, nodes)
  }
}

function idOf(rows: { id: InstanceId }[]): InstanceId {
  const [row] = rows
  if (row === undefined) throw new Error('the inserted instance has no id')
  return row.id
}

async function nodesOf(manager: EntityManager, ids: readonly InstanceId[]): Promise<RevisionName[]> {
  const rows = await manager.query<{ node_id: string }[]>(
    'SELECT DISTINCT node_id FROM instance WHERE id = ANY($1) AND node_id IS NOT NULL',
    [ids],
  )
  return rows.map((row): RevisionName => `node:${row.node_id}`)
}

/** Raises each counter once, always in the same order, so that two transactions never wait for each other. */
export async function bumpAll(
  manager: EntityManager,
  names: readonly RevisionName[],
): Promise<ReadonlyMap<RevisionName, number>> {
  const revisions = new Map<RevisionName, number>()
  for (const name of [...new Set(names)].toSorted()) revisions.set(name, await bumpRevision(manager, name))
  return revisions
}
