import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import type { NodeId } from '@croft/kit'
import type { DataSource, EntityManager } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { nodeHealth } from '../schedule/node-health.js'
import { CONFIG, DATA_SOURCE } from '../tokens.js'

/** When a node was last heard of, on the database's clock. */
export interface LeaseRow {
  id: NodeId
  name: string
  lastReportAtMs: number | null
  nowMs: number
}

/** The rows that `judge` goes by. */
export const LEASES = `SELECT id, name, (extract(epoch FROM last_report_at) * 1000)::float8 AS "lastReportAtMs",
    (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "nowMs" FROM node`

export interface JudgedNodes {
  names: ReadonlyMap<NodeId, string>
  lost: ReadonlySet<NodeId>
  isMassLoss: boolean
}

/** How nodes are right now, for whoever answers a person or a router; leases count from the start of this controller. */
@Injectable()
export class NodeLeases implements OnModuleInit {
  #startedAtMs = 0

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: ControllerConfig,
  ) {}

  async onModuleInit(): Promise<void> {
    const [row] = await this.dataSource.query<{ nowMs: number }[]>(
      `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "nowMs"`,
    )
    this.#startedAtMs = row?.nowMs ?? 0
  }

  /** When this controller began, on the database's clock. */
  get startedAtMs(): number {
    return this.#startedAtMs
  }

  /** Names by id, the lost ones, and whether the loss looks like our own fault. */
  async read(manager: EntityManager = this.dataSource.manager): Promise<JudgedNodes> {
    return this.judge(await manager.query<LeaseRow[]>(LEASES))
  }

  judge(rows: readonly LeaseRow[]): JudgedNodes {
    const { states, isMassLoss } = nodeHealth(
      rows.map((row) => ({ ...row, isCordoned: false, isDraining: false, hasInstances: true })),
      { nowMs: rows[0]?.nowMs ?? 0, controllerStartedAtMs: this.#startedAtMs, timeScale: this.config.timeScale },
    )
    return {
      names: new Map(rows.map((row) => [row.id, row.name])),
      lost: new Set([...states].filter(([, state]) => state === 'lost').map(([id]) => id)),
      isMassLoss,
    }
  }
}
