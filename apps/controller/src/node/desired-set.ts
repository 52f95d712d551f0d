import { Inject, Injectable } from '@nestjs/common'
import type { AppId, BuildId, NodeId, ReleaseId } from '@croft/kit'
import type { BuildSpec, DesiredInstance, DesiredStream, InstanceSpec, Snapshot } from '@croft/protocol'
import { In, IsNull, type DataSource, type EntityManager } from 'typeorm'
import { App } from '../app/app.entity.js'
import { ConfigStore } from '../app/config-store.js'
import { BUILD_TIMEOUT_MS } from '../build/build-limits.js'
import { Build } from '../build/build.entity.js'
import { readRevision } from '../db/revision.js'
import { EPOCH } from '../db/signals.module.js'
import { Instance } from '../instance/instance.entity.js'
import { LogStreams } from '../log/log-streams.js'
import { Release } from '../release/release.entity.js'
import { serviceSpec } from '../release/service-spec.js'
import { DATA_SOURCE } from '../tokens.js'

export interface DesiredSnapshot extends Snapshot<DesiredInstance> {
  streams: DesiredStream[]
}

/**
 * Reads what a node is to run: every instance placed on it that is not gone, with its whole spec. Config that cannot be opened fails
 * the whole read: a set without that instance would be a complete one, and its node would stop it.
 */
@Injectable()
export class DesiredSet {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(EPOCH) private readonly epoch: string,
    @Inject(ConfigStore) private readonly config: ConfigStore,
    @Inject(LogStreams) private readonly streams: LogStreams,
  ) {}

  /** The set and its revision as of one moment. */
  async read(nodeId: NodeId): Promise<DesiredSnapshot> {
    return this.dataSource.transaction('REPEATABLE READ', async (manager) => {
      const revision = await readRevision(manager, `node:${nodeId}`)
      const instances = await manager
        .getRepository(Instance)
        .find({ where: { nodeId, goneAt: IsNull() }, order: { id: 'ASC' } })
      const specs = await this.#specSource(manager, instances)
      return {
        epoch: this.epoch,
        revision,
        complete: true,
        items: instances.flatMap((instance) => specs(instance) ?? []),
        streams: this.streams.forNode(nodeId),
      }
    })
  }

  async #specSource(
    manager: EntityManager,
    instances: readonly Instance[],
  ): Promise<(instance: Instance) => DesiredInstance | null> {
    const apps = await byId<AppId, App>(
      manager,
      App,
      instances.map((instance) => instance.appId),
    )
    const releases = await byId<ReleaseId, Release>(
      manager,
      Release,
      instances.flatMap(({ releaseId }) => releaseId ?? []),
    )
    const builds = await byId<BuildId, Build>(
      manager,
      Build,
      instances.flatMap(({ buildId }) => buildId ?? []),
    )
    const buildConfig = new Map<AppId, Record<string, string>>()
    const previousImages = new Map<AppId, string | null>()
    for (const build of builds.values()) {
      const app = apps.get(build.appId)
      if (app === undefined) continue
      buildConfig.set(app.id, await this.config.openForBuild(app, manager))
      previousImages.set(app.id, await newestImage(manager, app.id))
    }
    return (instance) => {
      const app = apps.get(instance.appId)
      if (app === undefined) return null
      const spec = this.#spec(instance, app, {
        release: instance.releaseId === null ? undefined : releases.get(instance.releaseId),
        build: instance.buildId === null ? undefined : builds.get(instance.buildId),
        buildEnv: buildConfig.get(app.id) ?? {},
        previousImage: previousImages.get(app.id) ?? null,
      })
      if (spec === null) return null
      return {
        id: instance.id,
        intent: instance.intent,
        teamId: instance.teamId,
        appId: instance.appId,
        appName: app.name,
        type: instance.type,
        slot: instance.slot,
        releaseVersion: instance.releaseVersion,
        spec,
      }
    }
  }

  #spec(
    instance: Instance,
    app: App,
    source: {
      release: Release | undefined
      build: Build | undefined
      buildEnv: Record<string, string>
      previousImage: string | null
    },
  ): InstanceSpec | null {
    const { release, build } = source
    if (build !== undefined) return buildSpec(build, instance, source.buildEnv, source.previousImage)
    if (release === undefined) return null
    return serviceSpec({
      appName: app.name,
      type: instance.type,
      slot: instance.slot,
      limits: instance.limits,
      settings: app.settings,
      release,
      config: this.config.open(app, release.config),
    })
  }
}

function buildSpec(
  build: Build,
  instance: Instance,
  env: Record<string, string>,
  previousImage: string | null,
): BuildSpec {
  return {
    kind: 'build',
    buildId: build.id,
    stack: build.stack,
    previousImage: build.rebasedFrom ?? previousImage,
    env,
    limits: instance.limits,
    timeoutMs: BUILD_TIMEOUT_MS,
    isClean: build.isClean,
    ...(build.rebasedFrom !== null && { isRebase: true }),
    commit: build.commit,
  }
}

/** The image whose layers a build may use again. */
async function newestImage(manager: EntityManager, appId: AppId): Promise<string | null> {
  const [row] = await manager.query<{ image: string }[]>(
    `SELECT image FROM build WHERE app_id = $1 AND state = 'succeeded' AND image IS NOT NULL ORDER BY ended_at DESC LIMIT 1`,
    [appId],
  )
  return row?.image ?? null
}

async function byId<Id extends string, Row extends { id: Id }>(
  manager: EntityManager,
  entity: new () => Row,
  ids: readonly Id[],
): Promise<Map<Id, Row>> {
  if (ids.length === 0) return new Map()
  const rows = (await manager
    .getRepository(entity as new () => { id: string })
    .findBy({ id: In([...new Set(ids)]) })) as Row[]
  return new Map(rows.map((row) => [row.id, row]))
}
