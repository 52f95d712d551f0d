import { Inject, Injectable } from '@nestjs/common'
import type { AppId, InstanceId, NodeId } from '@croft/kit'
import type { Intent, Observed, Route, Snapshot } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { EPOCH } from '../db/signals.module.js'
import { readRevision } from '../db/revision.js'
import { NodeLeases } from '../node/node-leases.js'
import { TRAFFIC_TYPE } from '../release/service-spec.js'
import { CONFIG, DATA_SOURCE } from '../tokens.js'
import { routeTable } from './table.js'

interface InstanceRow {
  id: InstanceId
  appId: AppId
  nodeId: NodeId | null
  type: string
  intent: Intent
  observed: Observed | null
  address: string | null
  releaseVersion: number | null
}

/** Derives the route table from the rows of one moment. */
@Injectable()
export class RouteReader {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(EPOCH) private readonly epoch: string,
    @Inject(NodeLeases) private readonly leases: NodeLeases,
  ) {}

  async read(): Promise<Snapshot<Route>> {
    return this.dataSource.transaction('REPEATABLE READ', async (manager) => {
      const revision = await readRevision(manager, 'routes')
      const nodes = await this.leases.read(manager)
      // In a mass loss every endpoint stays: a wrong guess must not empty the table.
      const lost = nodes.isMassLoss ? new Set<NodeId>() : nodes.lost
      const apps = await manager.query<{ id: AppId; name: string; wanted: number }[]>(
        `SELECT a.id, a.name, CASE WHEN a.current_release IS NULL AND NOT EXISTS (
             SELECT FROM deployment d WHERE d.app_id = a.id AND d.state IN ('pending','releasing','rolling','reverting'))
           OR coalesce((a.settings->>'isStopped')::boolean, false) THEN 0 ELSE coalesce(f.quantity, 0) END AS wanted
         FROM app a LEFT JOIN formation f ON f.app_id = a.id AND f.type = $1
         WHERE a.destroyed_at IS NULL`,
        [TRAFFIC_TYPE],
      )
      const instances = await manager.query<InstanceRow[]>(
        `SELECT i.id, i.app_id AS "appId", i.node_id AS "nodeId", i.type, i.intent, s.observed, s.status->>'address' AS address,
           i.release_version AS "releaseVersion"
         FROM instance i LEFT JOIN node n ON n.id = i.node_id
         LEFT JOIN instance_status s ON s.instance_id = i.id AND s.node_id = n.id AND s.boot_id = n.boot_id
         WHERE i.gone_at IS NULL AND i.kind = 'service' AND i.type = $1`,
        [TRAFFIC_TYPE],
      )
      const hosts = await manager.query<{ appId: AppId; host: string; pathPrefix: string }[]>(
        `SELECT app_id AS "appId", name AS host, '/' AS "pathPrefix" FROM domain
         UNION ALL SELECT app_id, host, path_prefix FROM route`,
      )
      const items = routeTable({
        domain: this.config.domain,
        apps,
        hosts,
        instances: instances.map((row) => ({ ...row, isNodeLost: row.nodeId !== null && lost.has(row.nodeId) })),
      })
      return { epoch: this.epoch, revision, complete: true, items }
    })
  }
}
