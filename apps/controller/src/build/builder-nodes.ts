import type { EntityManager } from 'typeorm'
import type { BuilderNode } from './admission.js'

/** The nodes that builds may be placed on, with the builds that run there. One that is not placed yet may come to any of them. */
const NODES = `SELECT n.name, (n.capacity->>'memoryBytes')::float8 AS "totalBytes", (n.capacity->>'cpuMillis')::float8 AS "cpuMillis",
    (n.capacity->>'availableMemoryBytes')::float8 AS "availableBytes",
    (SELECT coalesce(json_agg(json_build_object('limitBytes', (i.limits->>'memoryBytes')::float8,
         'usedBytes', coalesce((s.status->>'memoryBytes')::float8, 0))), '[]')
       FROM instance i
       JOIN build b ON b.id = i.build_id
       LEFT JOIN instance_status s ON s.instance_id = i.id AND s.node_id = n.id AND s.boot_id = n.boot_id
       WHERE i.gone_at IS NULL AND coalesce(i.node_id, n.id) = n.id AND b.state = 'running' AND b.instance_id = i.id
         AND b.rebased_from IS NULL) AS builds
  FROM node n WHERE n.cordoned_at IS NULL AND n.drain_started_at IS NULL ORDER BY n.id`

export async function readBuilderNodes(manager: EntityManager): Promise<(BuilderNode & { cpuMillis: number })[]> {
  return await manager.query(NODES)
}

/** When a build of each team last started, on the database's clock in ms, as far as the last day goes. */
export async function readLastStarts(manager: EntityManager): Promise<Map<string, number>> {
  const rows: { team: string; at: number }[] = await manager.query(
    `SELECT team_id AS team, extract(epoch FROM max(started_at))::float8 * 1000 AS at FROM build
     WHERE started_at > now() - interval '1 day' GROUP BY team_id`,
  )
  return new Map(rows.map(({ team, at }) => [team, at]))
}
