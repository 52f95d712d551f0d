import { Controller, Get, Inject, Param } from '@nestjs/common'
import type { InstanceId, NodeId } from '@croft/kit'
import type { InstanceLimits, InstanceStatus, Intent } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import { z } from 'zod'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { NodeLeases } from '../node/node-leases.js'
import { DATA_SOURCE } from '../tokens.js'
import { deriveState } from './state.js'

export const psSchema = z.object({
  id: z.uuid(),
  /** `web.1`. */
  instance: z.string(),
  type: z.string(),
  state: z.enum([
    'pending',
    'placed',
    'starting',
    'running',
    'unhealthy',
    'crashed',
    'finished',
    'failed',
    'draining',
    'stopping',
    'stopped',
    'lost',
  ]),
  release: z.int().nullable(),
  /** Name of its node. */
  node: z.string().nullable(),
  /** `ip:port`. */
  address: z.string().nullable(),
  startedAt: z.iso.datetime().nullable(),
  restarts: z.int(),
  cpuMillis: z.int(),
  memoryBytes: z.int(),
  memoryLimitBytes: z.int(),
  /** Why it is not running, one line. */
  message: z.string().nullable(),
  /** Crashed: when it starts again. */
  nextStartAt: z.iso.datetime().nullable(),
})
type PsAnswer = z.infer<typeof psSchema>

interface PsRow {
  id: InstanceId
  type: string
  slot: number
  intent: Intent
  releaseVersion: number | null
  placementError: string | null
  limits: InstanceLimits
  nodeId: NodeId | null
  status: InstanceStatus | null
}

@Controller('api/v1/apps/:app/ps')
export class PsController {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(NodeLeases) private readonly leases: NodeLeases,
  ) {}

  /** The instances that are not gone, by type and slot. */
  @Get()
  @Policy('app:read')
  @Answers(z.array(psSchema))
  async list(@Who() principal: Principal, @Param('app') name: string): Promise<PsAnswer[]> {
    const app = await this.apps.findInTeam(principal.teamId, name)
    const { names, lost } = await this.leases.read()
    const rows = await this.dataSource.query<PsRow[]>(
      `SELECT i.id, i.type, i.slot, i.intent, i.release_version AS "releaseVersion", i.placement_error AS "placementError",
         i.limits, i.node_id AS "nodeId", s.status
       FROM instance i LEFT JOIN node n ON n.id = i.node_id
       LEFT JOIN instance_status s ON s.instance_id = i.id AND s.node_id = n.id AND s.boot_id = n.boot_id
       WHERE i.app_id = $1 AND i.team_id = $2 AND i.kind = 'service' AND i.gone_at IS NULL
       ORDER BY i.type, i.slot, i.created_at`,
      [app.id, app.teamId],
    )
    return rows.map((row) =>
      answer(row, row.nodeId === null ? null : { name: names.get(row.nodeId) ?? null, isLost: lost.has(row.nodeId) }),
    )
  }
}

function answer(row: PsRow, node: { name: string | null; isLost: boolean } | null): PsAnswer {
  const { status } = row
  return {
    id: row.id,
    instance: `${row.type}.${row.slot}`,
    type: row.type,
    state: deriveState({
      intent: row.intent,
      isPlaced: row.nodeId !== null,
      isNodeLost: node?.isLost ?? false,
      observed: status?.observed ?? null,
      isOneShot: false,
      exitCode: status?.exit?.code ?? null,
    }),
    release: row.releaseVersion,
    node: node?.name ?? null,
    address: status?.address ?? null,
    startedAt: status?.startedAt ?? null,
    restarts: status?.restarts ?? 0,
    cpuMillis: status?.cpuMillis ?? 0,
    memoryBytes: status?.memoryBytes ?? 0,
    memoryLimitBytes: row.limits.memoryBytes,
    message: row.placementError ?? status?.message ?? null,
    nextStartAt: status?.nextStartAt ?? null,
  }
}
