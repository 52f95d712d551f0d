import { Inject, Injectable } from '@nestjs/common'
import type { AppId, InstanceId, NodeId } from '@croft/kit'
import type { Intent, Observed, Route, Snapshot } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { jsonRows } from '../db/json-rows.js'
import { EPOCH } from '../db/signals.module.js'
import { LEASES, NodeLeases, type LeaseRow } from '../node/node-leases.js'
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

interface Routed {
  revision: number
  nodes: LeaseRow[]
  apps: { id: AppId; name: string; wanted: number }[]
  instances: InstanceRow[]
  hosts: { appId: AppId; host: string; pathPrefix: string }[]
}

const APPS = `SELECT a.id, a.name, CASE WHEN a.current_release IS NULL AND NOT EXISTS (
      SELECT FROM deployment d WHERE d.app_id = a.id AND d.state IN ('pending','releasing','rolling','reverting'))
    OR coalesce((a.settings->>'isStopped')::boolean, false) THEN 0 ELSE coalesce(f.quantity, 0) END AS wanted
  FROM app a LEFT JOIN formation f ON f.app_id = a.id AND f.type = '${TRAFFIC_TYPE}'
  WHERE a.destroyed_at IS NULL`

const INSTANCES = `SELECT i.id, i.app_id AS "appId", i.node_id AS "nodeId", i.type, i.intent, s.observed, s.status->>'address' AS address,
    i.release_version AS "releaseVersion"
  FROM instance i LEFT JOIN node n ON n.id = i.node_id
  LEFT JOIN instance_status s ON s.instance_id = i.id AND s.node_id = n.id AND s.boot_id = n.boot_id
  WHERE i.gone_at IS NULL AND i.kind = 'service' AND i.type = '${TRAFFIC_TYPE}'`

const HOSTS = `SELECT app_id AS "appId", name AS host, '/' AS "pathPrefix" FROM domain
  UNION ALL SELECT app_id, host, path_prefix FROM route`

/** One statement: one moment and one round trip, for traffic waits for it in every deployment. */
const ROUTED = `SELECT json_build_object(
  'revision', coalesce((SELECT value FROM revision WHERE name = 'routes'), 0),
  'nodes', ${jsonRows(LEASES)},
  'apps', ${jsonRows(APPS)},
  'instances', ${jsonRows(INSTANCES)},
  'hosts', ${jsonRows(HOSTS)}) AS routed`

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
    const [row] = await this.dataSource.query<{ routed: Routed }[]>(ROUTED)
    if (row === undefined) throw new Error('the route table was not read')
    const { revision, nodes, apps, instances, hosts } = row.routed
    const { isMassLoss, lost } = this.leases.judge(nodes)
    // In a mass loss every endpoint stays: a wrong guess must not empty the table.
    const isLost = (nodeId: NodeId | null): boolean => !isMassLoss && nodeId !== null && lost.has(nodeId)
    const items = routeTable({
      domain: this.config.domain,
      apps,
      hosts,
      instances: instances.map((instance) => ({ ...instance, isNodeLost: isLost(instance.nodeId) })),
    })
    return { epoch: this.epoch, revision, complete: true, items }
  }
}
