import type { AppId, BuildId, DeploymentId, InstanceId, NodeId, ReleaseId, TeamId } from '@croft/kit'
import type { InstanceLimits, InstanceStatus, Intent } from '@croft/protocol'
import type { EntityManager } from 'typeorm'
import type { AppSettings } from '../app/app-settings.js'
import { jsonRows } from '../db/json-rows.js'
import type { DeploymentState } from '../deploy/deployment.machine.js'
import type { NodeCapacity } from '../node/node-capacity.js'
import { TRAFFIC_TYPE } from '../release/service-spec.js'

/** Everything the control loop decides from, as one snapshot of the database. */
export interface World {
  /** The database's clock. */
  nowMs: number
  routesRevision: number
  nodes: WorldNode[]
  routers: WorldRouter[]
  apps: ReadonlyMap<AppId, WorldApp>
  /** The active ones. */
  deployments: WorldDeployment[]
  /** The ones that are not gone. */
  instances: WorldInstance[]
}

export interface WorldNode {
  id: NodeId
  name: string
  capacity: NodeCapacity
  lastReportAtMs: number | null
  isCordoned: boolean
  isDraining: boolean
}

export interface WorldRouter {
  id: string
  epoch: string | null
  appliedRevision: number
  busyInstances: string[]
  lastPollAtMs: number
}

export interface WorldApp {
  id: AppId
  teamId: TeamId
  name: string
  settings: AppSettings
  currentRelease: number | null
  isDestroyed: boolean
  formation: { type: string; quantity: number; limits: InstanceLimits }[]
  /** Those that serve, roll or still run: by version. */
  releases: ReadonlyMap<number, WorldRelease>
}

export interface WorldRelease {
  id: ReleaseId
  version: number
  processTypes: string[]
  /** Where its type with traffic listens; null: where apps are told to. */
  port: number | null
}

export interface WorldDeployment {
  id: DeploymentId
  appId: AppId
  releaseId: ReleaseId
  releaseVersion: number
  previousVersion: number | null
  state: Extract<DeploymentState, 'pending' | 'releasing' | 'rolling' | 'reverting'>
  createdAtMs: number
  updatedAtMs: number
}

export interface WorldInstance {
  id: InstanceId
  appId: AppId
  kind: 'service' | 'build'
  type: string
  slot: number
  releaseVersion: number | null
  buildId: BuildId | null
  /** For a build: its row says that it runs in this instance. */
  isBuildOpen: boolean
  nodeId: NodeId | null
  placementError: string | null
  intent: Intent
  limits: InstanceLimits
  drainRevision: number | null
  drainStartedAtMs: number | null
  createdAtMs: number
  /** What its node said since that node's boot; null before the first word. */
  status: InstanceStatus | null
  /** When `status.observed` last changed. */
  changedAtMs: number | null
}

/** Milliseconds since the epoch as a number. */
const ms = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`

const ACTIVE = `('pending','releasing','rolling','reverting')`

const NODES = `SELECT id, name, capacity, ${ms('last_report_at')} AS "lastReportAtMs", cordoned_at IS NOT NULL AS "isCordoned",
    drain_started_at IS NOT NULL AS "isDraining" FROM node ORDER BY id`

const ROUTERS = `SELECT id, epoch, applied_revision AS "appliedRevision", busy_instances AS "busyInstances",
    ${ms('last_poll_at')} AS "lastPollAtMs" FROM router ORDER BY id`

const DEPLOYMENTS = `SELECT id, app_id AS "appId", release_id AS "releaseId", release_version AS "releaseVersion",
    previous_version AS "previousVersion", state, ${ms('created_at')} AS "createdAtMs", ${ms('updated_at')} AS "updatedAtMs"
  FROM deployment WHERE state IN ${ACTIVE} ORDER BY created_at`

const INSTANCES = `SELECT i.id, i.app_id AS "appId", i.kind, i.type, i.slot, i.release_version AS "releaseVersion", i.build_id AS "buildId",
    coalesce(b.state = 'running' AND b.instance_id = i.id, false) AS "isBuildOpen", i.node_id AS "nodeId",
    i.placement_error AS "placementError", i.intent, i.limits, i.drain_revision AS "drainRevision",
    ${ms('i.drain_started_at')} AS "drainStartedAtMs", ${ms('i.created_at')} AS "createdAtMs",
    s.status, ${ms('s.changed_at')} AS "changedAtMs"
  FROM instance i
  LEFT JOIN node n ON n.id = i.node_id
  LEFT JOIN instance_status s ON s.instance_id = i.id AND s.node_id = n.id AND s.boot_id = n.boot_id
  LEFT JOIN build b ON b.id = i.build_id
  WHERE i.gone_at IS NULL ORDER BY i.id`

const APPS = `SELECT a.id, a.team_id AS "teamId", a.name, a.settings, a.current_release AS "currentRelease",
    a.destroyed_at IS NOT NULL AS "isDestroyed",
    (SELECT coalesce(json_agg(json_build_object('type', f.type, 'quantity', f.quantity, 'limits', f.limits)), '[]')
       FROM formation f WHERE f.app_id = a.id) AS formation,
    (SELECT coalesce(json_agg(json_build_object('id', r.id, 'version', r.version, 'processTypes',
         ARRAY(SELECT jsonb_object_keys(r.process_types)), 'port', r.process_types->'${TRAFFIC_TYPE}'->'port')), '[]')
       FROM release r WHERE r.app_id = a.id AND (
         r.version = a.current_release
         OR r.version IN (SELECT i.release_version FROM instance i WHERE i.app_id = a.id AND i.gone_at IS NULL)
         OR r.version IN (SELECT unnest(ARRAY[d.release_version, d.previous_version]) FROM deployment d
              WHERE d.app_id = a.id AND d.state IN ${ACTIVE}))) AS releases
  FROM app a
  WHERE (a.destroyed_at IS NULL AND a.current_release IS NOT NULL)
    OR EXISTS (SELECT FROM instance i WHERE i.app_id = a.id AND i.gone_at IS NULL)
    OR EXISTS (SELECT FROM deployment d WHERE d.app_id = a.id AND d.state IN ${ACTIVE})`

/** One statement: one snapshot, so that no decision mixes two moments, and one round trip, for it is read at every turn. */
const WORLD = `SELECT json_build_object(
  'nowMs', ${ms('clock_timestamp()')},
  'routesRevision', coalesce((SELECT value FROM revision WHERE name = 'routes'), 0),
  'nodes', ${jsonRows(NODES)},
  'routers', ${jsonRows(ROUTERS)},
  'deployments', ${jsonRows(DEPLOYMENTS)},
  'instances', ${jsonRows(INSTANCES)},
  'apps', ${jsonRows(APPS)}) AS world`

interface WorldRow extends Omit<World, 'apps'> {
  apps: (Omit<WorldApp, 'releases'> & { releases: WorldRelease[] })[]
}

/** Reads the world as of one moment. */
export async function loadWorld(database: Pick<EntityManager, 'query'>): Promise<World> {
  const [row] = await database.query<{ world: WorldRow }[]>(WORLD)
  if (row === undefined) throw new Error('the world was not read')
  const apps = row.world.apps.map((app): [AppId, WorldApp] => [
    app.id,
    { ...app, releases: new Map(app.releases.map((release) => [release.version, release])) },
  ])
  return { ...row.world, apps: new Map(apps) }
}
