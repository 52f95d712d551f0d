import { Inject, Injectable } from '@nestjs/common'
import type { AppId, DeploymentId, Logger, PushId } from '@croft/kit'
import type { InstanceStatus } from '@croft/protocol'
import { In, type DataSource, type EntityManager } from 'typeorm'
import { App } from '../app/app.entity.js'
import { AppService } from '../app/app.service.js'
import type { Principal } from '../auth/principal.js'
import { notify, Signals } from '../db/signals.js'
import { EventService } from '../event/event.service.js'
import type { Release } from '../release/release.entity.js'
import { NothingReleased, ReleaseService } from '../release/release.service.js'
import { hasTraffic } from '../release/service-spec.js'
import { ROUTER_SILENT_MS } from '../schedule/retire.js'
import { DATA_SOURCE, LOGGER } from '../tokens.js'
import { moveDeployment } from './deployer.js'
import { Deployment } from './deployment.entity.js'
import { deploymentMachine } from './deployment.machine.js'
import { DeploymentActive } from './errors.js'
import { noteLine, stepLine } from './lines.js'

/** How a deployment ended. */
export type DeployEnd =
  | { state: 'succeeded' }
  | { state: 'failed'; cause: string; suggestion: string; lastLines: string[] }
  | { state: 'canceled' }

/** While somebody waits, the rows are looked at least this often. */
const LOOK_EVERY_MS = 1_000
/** So long at most the end of a deployment waits for a router that does not answer. */
const ROUTED_LIMIT_MS = 1_000
/** An instance without room for this long is worth a line. */
const PLACEMENT_NOTE_MS = 2_000

interface ProgressRow {
  id: string
  type: string
  slot: number
  placementError: string | null
  ageMs: number
  /** From its insertion to its first being ready; null while it is not. */
  readyAfterMs: number | null
  status: InstanceStatus | null
}

/** Starts, watches and cancels deployments; what they do is the deployer's. */
@Injectable()
export class DeployService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(Signals) private readonly signals: Signals,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(EventService) private readonly events: EventService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Makes a release the one that is to run; `formation` are quantities that are set once it does.
   * @throws DeploymentActive while another release of the app rolls; AppNotFound when the app was destroyed
   */
  async start(
    release: Release,
    options: { pushId?: PushId | null; formation?: Record<string, number> } = {},
    manager?: EntityManager,
  ): Promise<Deployment> {
    if (manager === undefined) return this.dataSource.transaction((own) => this.start(release, options, own))
    const app = await manager.getRepository(App).findOneByOrFail({ id: release.appId })
    const locked = await this.apps.lock(manager, app)
    await this.#refuseSecond(manager, locked)
    const rows = await manager.query<{ id: DeploymentId }[]>(
      `INSERT INTO deployment (team_id, app_id, release_id, release_version, previous_version, push_id, formation, state)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
      [
        locked.teamId,
        locked.id,
        release.id,
        release.version,
        locked.currentRelease,
        options.pushId ?? null,
        options.formation === undefined ? null : JSON.stringify(options.formation),
        'pending',
      ],
    )
    const deployment = await manager
      .getRepository(Deployment)
      .findOneByOrFail({ id: rows[0]?.id ?? ('' as DeploymentId) })
    await notify(manager, `deployment ${deployment.id}`)
    this.logger.info('deployment-started', { app: locked.name, deployment: deployment.id, release: release.version })
    return deployment
  }

  /** Replaces every instance by a new one of the same release, without a gap. @throws NothingReleased, DeploymentActive, AppNotFound */
  async restart(principal: Principal, name: string): Promise<Deployment> {
    return this.dataSource.transaction(async (manager) => {
      const app = await this.apps.findInTeam(principal.teamId, name, manager)
      const release = await this.releases.current(app, manager)
      if (release === null) throw new NothingReleased(app.name)
      const deployment = await this.start(release, {}, manager)
      await this.events.append(
        {
          teamId: app.teamId,
          appId: app.id,
          kind: 'app-restarted',
          message: `v${release.version} restarts`,
          actor: principal.name,
        },
        manager,
      )
      return deployment
    })
  }

  async find(app: Pick<App, 'id'>, id: string): Promise<Deployment | null> {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return null
    return this.dataSource.getRepository(Deployment).findOneBy({ id: id as DeploymentId, appId: app.id })
  }

  /** The deployment a push started, or null. */
  async ofPush(appId: AppId, pushId: PushId): Promise<Deployment | null> {
    const [newest] = await this.dataSource
      .getRepository(Deployment)
      .find({ where: { appId, pushId }, order: { createdAt: 'DESC' }, take: 1 })
    return newest ?? null
  }

  /** Ends one that has not ended; the reconciler makes the former release whole again. False when it had ended. */
  async cancel(id: DeploymentId, why = 'it was canceled'): Promise<boolean> {
    const isCanceled = await this.dataSource.transaction((manager) =>
      moveDeployment(manager, id, 'cancel', { reason: 'canceled', message: why }),
    )
    if (isCanceled) this.logger.info('deployment-canceled', { deployment: id, why })
    return isCanceled
  }

  /**
   * Waits for the end of a deployment, telling each step in the grammar of a push. When the signal aborts the deployment is canceled;
   * if it ended in the same moment, its end is what is returned.
   */
  async wait(
    id: DeploymentId,
    options: { onLine?: (line: string) => void; signal?: AbortSignal } = {},
  ): Promise<DeployEnd> {
    const teller = new Teller(options.onLine ?? (() => undefined))
    const { appId } = await this.dataSource.getRepository(Deployment).findOneByOrFail({ id })
    const waiter = this.signals.waiter(
      (topic) => topic === `deployment ${id}` || topic === `app ${appId}` || topic === 'routers',
    )
    try {
      for (;;) {
        const deployment = await this.dataSource.getRepository(Deployment).findOneByOrFail({ id })
        await this.#tell(deployment, teller)
        const end = endOf(deployment)
        const isOver = end !== null && (options.signal?.aborted === true || (await this.#isRouted(deployment)))
        if (isOver) return end
        if (options.signal?.aborted === true) await this.cancel(id, 'whoever waited for it left')
        else await waiter.wait(LOOK_EVERY_MS, options.signal)
      }
    } finally {
      waiter.close()
    }
  }

  /** Returns when the deployment's row changed, or after `ms`. */
  async changed(id: DeploymentId, ms: number): Promise<void> {
    const waiter = this.signals.waiter((topic) => topic === `deployment ${id}`)
    try {
      await waiter.wait(Math.min(ms, LOOK_EVERY_MS))
    } finally {
      waiter.close()
    }
  }

  async #refuseSecond(manager: EntityManager, app: App): Promise<void> {
    const states = deploymentMachine.states.filter((state) => !deploymentMachine.isFinal(state))
    const active = await manager.getRepository(Deployment).findOneBy({ appId: app.id, state: In(states) })
    if (active !== null) throw new DeploymentActive(app.name, active.releaseVersion)
  }

  /** Whether no router sends anybody to what a deployment that succeeded has replaced: whoever asks next is answered by the new release. */
  async #isRouted({ id, state }: Deployment): Promise<boolean> {
    if (state !== 'succeeded') return true
    const [row] = await this.dataSource.query<{ isRouted: boolean }[]>(
      `SELECT clock_timestamp() > d.ended_at + make_interval(secs => $2)
         OR NOT EXISTS (SELECT FROM router WHERE applied_revision < d.routed_revision) AS "isRouted"
       FROM deployment d WHERE d.id = $1`,
      [id, ROUTED_LIMIT_MS / 1000],
    )
    return row?.isRouted ?? true
  }

  async #tell(deployment: Deployment, teller: Teller): Promise<void> {
    if (deployment.state === 'pending' || deployment.state === 'canceled') return
    const rows = await this.dataSource.query<ProgressRow[]>(
      `SELECT i.id, i.type, i.slot, i.placement_error AS "placementError", s.status,
         (extract(epoch FROM clock_timestamp() - i.created_at) * 1000)::float8 AS "ageMs",
         CASE WHEN s.observed = 'ready' THEN (extract(epoch FROM s.changed_at - i.created_at) * 1000)::float8 END AS "readyAfterMs"
       FROM deployment d JOIN instance i ON i.app_id = d.app_id AND i.release_id = d.release_id AND i.created_at > d.created_at
       LEFT JOIN instance_status s ON s.instance_id = i.id
       WHERE d.id = $1 AND i.kind = 'service' ORDER BY i.type, i.slot, i.id`,
      [deployment.id],
    )
    teller.instances(rows)
    if (deployment.state !== 'rolling' || !rows.some((row) => hasTraffic(row.type) && row.readyAfterMs !== null)) return
    const silent = await this.dataSource.query<{ id: string }[]>(
      `SELECT id FROM router WHERE last_poll_at < now() - make_interval(secs => $1)`,
      [ROUTER_SILENT_MS / 1000],
    )
    for (const router of silent) teller.silentRouter(router.id, deployment.previousVersion)
  }
}

/** Says each thing once. */
class Teller {
  readonly #said = new Set<string>()

  constructor(private readonly onLine: (line: string) => void) {}

  instances(rows: readonly ProgressRow[]): void {
    for (const row of rows) {
      const name = `${row.type}.${row.slot}`
      if (row.readyAfterMs !== null) {
        this.#once(`ready ${name}`, stepLine(`Starting ${name} ... healthy`, row.readyAfterMs))
        continue
      }
      if (row.placementError !== null && row.ageMs > PLACEMENT_NOTE_MS) {
        this.#once(`placement ${name}`, noteLine(`${name} waits for room: ${row.placementError}`))
      }
      const crashes = row.status?.crashesBeforeReady ?? 0
      if (crashes > 0)
        this.#once(`crash ${row.id} ${crashes}`, noteLine(`${name} crashed while starting (${crashes} of 3)`))
    }
  }

  silentRouter(id: string, previousVersion: number | null): void {
    const meanwhile = previousVersion === null ? '' : `; v${previousVersion} serves on`
    const seconds = ROUTER_SILENT_MS / 1000
    this.#once(`router ${id}`, noteLine(`router ${id} has not answered for ${seconds} s, waiting for it${meanwhile}`))
  }

  #once(key: string, line: string): void {
    if (this.#said.has(key)) return
    this.#said.add(key)
    this.onLine(line)
  }
}

/** The deployment's message is the cause, the remedy and the app's last lines, one a line. */
function endOf(deployment: Deployment): DeployEnd | null {
  switch (deployment.state) {
    case 'succeeded':
      return { state: 'succeeded' }
    case 'canceled':
      return { state: 'canceled' }
    case 'failed': {
      const [cause = 'the deployment failed', suggestion = '', ...lastLines] = (deployment.message ?? '').split('\n')
      return { state: 'failed', cause, suggestion, lastLines }
    }
    case 'pending':
    case 'releasing':
    case 'rolling':
    case 'reverting':
      return null
  }
}
