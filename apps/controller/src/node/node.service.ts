import { isDeepStrictEqual } from 'node:util'
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common'
import type { AppId, BuildId, InstanceId, Logger, NodeId } from '@croft/kit'
import type { InstanceStatus, NodeJoin, NodeJoined, NodeReport, Observed } from '@croft/protocol'
import type { DataSource, EntityManager } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { bumpRevision } from '../db/revision.js'
import { notify, type Topic } from '../db/signals.js'
import { routingFootprint } from '../route/table.js'
import { SettingsService } from '../settings/settings.service.js'
import { CONFIG, DATA_SOURCE, LOGGER } from '../tokens.js'
import { NodeUnknown, NoNetwork, SendFull } from './errors.js'
import { LeaseRenewals, RENEW_EVERY_MS } from './lease-renewals.js'
import { isTaken, pickNetwork } from './network.js'
import { Node } from './node.entity.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Two platforms on one host begin their search this many /20s apart. */
const NETWORKS_PER_HOME = 4
const EMPTY_CAPACITY = { memoryBytes: 0, diskBytes: 0, cpuMillis: 0, maxInstances: 0 }

interface KnownInstance {
  id: InstanceId
  appId: AppId
  buildId: BuildId | null
  kind: 'service' | 'build'
  type: string
  status: InstanceStatus | null
}

/** The writer of `node` and `instance_status`: what nodes say of themselves and of what is placed on them. */
@Injectable()
export class NodeService implements OnModuleDestroy {
  readonly #renewals: LeaseRenewals

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(SettingsService) private readonly settings: SettingsService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.#renewals = new LeaseRenewals(dataSource, logger, RENEW_EVERY_MS / config.timeScale)
  }

  async onModuleDestroy(): Promise<void> {
    await this.#renewals.close()
  }

  /**
   * A node comes (back): idempotent by its name. It keeps its range, unless its host routes something else there now.
   * @throws NoNetwork
   */
  async join(request: NodeJoin): Promise<NodeJoined> {
    const platform = await this.settings.get('network')
    return this.dataSource.transaction(async (manager) => {
      await manager.query(`SELECT pg_advisory_xact_lock(hashtext('croft-node-join'))`)
      const nodes = await manager.getRepository(Node).find()
      const known = nodes.find((node) => node.name === request.name)
      const isSameBoot = known?.bootId === request.bootId
      const network =
        known !== undefined && !isTaken(known.network, request.takenNetworks)
          ? known.network
          : pickNetwork(
              platform,
              [...request.takenNetworks, ...nodes.filter((node) => node !== known).map((node) => node.network)],
              this.config.k * NETWORKS_PER_HOME,
            )
      if (network === null) throw new NoNetwork(request.name, platform)
      const nodeId = known === undefined ? await insertNode(manager, request, network) : known.id
      if (known !== undefined && (!isSameBoot || network !== known.network))
        await rejoin(manager, known, request, network)
      await notify(manager, 'nodes')
      this.logger.info('node-joined', {
        node: nodeId,
        name: request.name,
        network,
        isNew: known === undefined,
        isSameBoot,
      })
      return { nodeId, network }
    })
  }

  /**
   * A report: renews the lease, and replaces the statuses when they came.
   * @throws NodeUnknown, SendFull when statuses changed and were not sent
   */
  async report(id: string, report: NodeReport): Promise<void> {
    const node = UUID.test(id) ? await this.dataSource.getRepository(Node).findOneBy({ id: id as NodeId }) : null
    if (node === null) throw new NodeUnknown('nobody knows it here')
    if (node.bootId !== report.bootId) throw new NodeUnknown('it joined in another boot of its host')
    if (report.statuses !== undefined) return this.#replaceStatuses(node.id, report, report.statuses)
    if (node.statusHash !== report.statusHash) throw new SendFull()
    this.#renewals.renew(node.id, report)
  }

  async exists(id: string): Promise<boolean> {
    return UUID.test(id) && (await this.dataSource.getRepository(Node).existsBy({ id: id as NodeId }))
  }

  async #replaceStatuses(nodeId: NodeId, report: NodeReport, statuses: readonly InstanceStatus[]): Promise<void> {
    const changed = await this.dataSource.transaction(async (manager) => {
      const rows = await manager.query<{ bootId: string }[]>(
        'SELECT boot_id AS "bootId" FROM node WHERE id = $1 FOR NO KEY UPDATE',
        [nodeId],
      )
      if (rows[0]?.bootId !== report.bootId) throw new NodeUnknown('it joined in another boot of its host')
      const known = await knownInstances(manager, nodeId)
      const changes = changesOf(known, statuses)
      await writeStatuses(manager, nodeId, report.bootId, changes.written)
      if (changes.forgotten.length > 0) {
        await manager.query('DELETE FROM instance_status WHERE instance_id = ANY($1) AND node_id = $2', [
          changes.forgotten,
          nodeId,
        ])
      }
      await manager.query(
        `UPDATE node SET last_report_at = now(), status_hash = $2, capacity = $3, applied_epoch = $4, applied_revision = $5
         WHERE id = $1`,
        [nodeId, report.statusHash, JSON.stringify(report.capacity), report.epoch, report.appliedRevision],
      )
      if (changes.isRoutingChanged) await bumpRevision(manager, 'routes')
      await notify(
        manager,
        ...[...changes.apps].map((appId): Topic => `app ${appId}`),
        ...[...changes.builds].map((buildId): Topic => `build ${buildId}`),
      )
      return changes
    })
    for (const { before, after } of changed.transitions) {
      this.logger.info('instance-observed', { instance: after.id, before, now: after.observed, reason: after.reason })
    }
  }
}

async function insertNode(manager: EntityManager, request: NodeJoin, network: string): Promise<NodeId> {
  const rows = await manager.query<{ id: NodeId }[]>(
    `INSERT INTO node (name, boot_id, network, capacity, status_hash) VALUES ($1, $2, $3, $4, '') RETURNING id`,
    [request.name, request.bootId, network, JSON.stringify(EMPTY_CAPACITY)],
  )
  const [row] = rows
  if (row === undefined) throw new Error('the inserted node has no id')
  return row.id
}

/** After a boot nothing that was said before is true: no endpoint of it stays in the table until it is said again. */
async function rejoin(manager: EntityManager, known: Node, request: NodeJoin, network: string): Promise<void> {
  await manager.query(
    `UPDATE node SET boot_id = $2, network = $3, status_hash = '', last_report_at = NULL, applied_revision = 0 WHERE id = $1`,
    [known.id, request.bootId, network],
  )
  await bumpRevision(manager, `node:${known.id}`)
  await bumpRevision(manager, 'routes')
}

async function knownInstances(manager: EntityManager, nodeId: NodeId): Promise<Map<InstanceId, KnownInstance>> {
  const rows = await manager.query<KnownInstance[]>(
    `SELECT i.id, i.app_id AS "appId", i.build_id AS "buildId", i.kind, i.type, s.status
     FROM instance i JOIN node n ON n.id = i.node_id
     LEFT JOIN instance_status s ON s.instance_id = i.id AND s.boot_id = n.boot_id
     WHERE i.node_id = $1 AND i.gone_at IS NULL`,
    [nodeId],
  )
  return new Map(rows.map((row) => [row.id, row]))
}

interface Changes {
  written: InstanceStatus[]
  forgotten: InstanceId[]
  transitions: { before: Observed | null; after: InstanceStatus }[]
  isRoutingChanged: boolean
  apps: Set<AppId>
  builds: Set<BuildId>
}

/** What a full report changes. Instances that are not placed there, or are gone, are none of this node's business. */
function changesOf(known: ReadonlyMap<InstanceId, KnownInstance>, statuses: readonly InstanceStatus[]): Changes {
  const changes: Changes = {
    written: [],
    forgotten: [],
    transitions: [],
    isRoutingChanged: false,
    apps: new Set(),
    builds: new Set(),
  }
  const reported = new Set<string>()
  for (const status of statuses) {
    const instance = known.get(status.id as InstanceId)
    if (instance === undefined) continue
    reported.add(status.id)
    const before = instance.status
    if (before !== null && isDeepStrictEqual(before, status)) continue
    changes.written.push(status)
    if (before?.observed !== status.observed)
      changes.transitions.push({ before: before?.observed ?? null, after: status })
    if (footprint(instance, before) !== footprint(instance, status)) changes.isRoutingChanged = true
    if (!matters(before, status)) continue
    if (instance.buildId === null) changes.apps.add(instance.appId)
    else changes.builds.add(instance.buildId) // what becomes of the instance follows from what becomes of the build
  }
  for (const instance of known.values()) {
    if (instance.status === null || reported.has(instance.id)) continue
    changes.forgotten.push(instance.id)
    if (footprint(instance, instance.status) !== footprint(instance, null)) changes.isRoutingChanged = true
    changes.apps.add(instance.appId)
    if (instance.buildId !== null) changes.builds.add(instance.buildId)
  }
  return changes
}

/** Whether anybody but a person who looks has to know: how much it uses right now is not such a thing. */
function matters(before: InstanceStatus | null, after: InstanceStatus): boolean {
  return (
    before?.observed !== after.observed ||
    before.address !== after.address ||
    before.reason !== after.reason ||
    before.crashesBeforeReady !== after.crashesBeforeReady ||
    !isDeepStrictEqual(before.build, after.build)
  )
}

function footprint(instance: KnownInstance, status: InstanceStatus | null): string {
  if (instance.kind !== 'service') return ''
  return routingFootprint(instance.type, status?.observed ?? null, status?.address ?? null)
}

async function writeStatuses(
  manager: EntityManager,
  nodeId: NodeId,
  bootId: string,
  statuses: readonly InstanceStatus[],
): Promise<void> {
  if (statuses.length === 0) return
  await manager.query(
    `INSERT INTO instance_status (instance_id, node_id, boot_id, observed, status, changed_at)
     SELECT (s->>'id')::uuid, $1, $2, s->>'observed', s, clock_timestamp() FROM jsonb_array_elements($3::jsonb) AS s
     ON CONFLICT (instance_id) DO UPDATE SET node_id = excluded.node_id, boot_id = excluded.boot_id,
       observed = excluded.observed, status = excluded.status,
       changed_at = CASE WHEN instance_status.observed = excluded.observed AND instance_status.boot_id = excluded.boot_id
         THEN instance_status.changed_at ELSE excluded.changed_at END`,
    [nodeId, bootId, JSON.stringify(statuses)],
  )
}
