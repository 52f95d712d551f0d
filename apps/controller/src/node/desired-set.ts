import { Inject, Injectable } from '@nestjs/common'
import type { AppId, BuildId, InstanceId, NodeId, ReleaseId, TeamId } from '@croft/kit'
import type { BuildSpec, DesiredInstance, DesiredStream, InstanceLimits, Intent, Snapshot } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import { ConfigStore } from '../app/config-store.js'
import type { App } from '../app/app.entity.js'
import { BUILD_TIMEOUT_MS } from '../build/build-limits.js'
import type { Build } from '../build/build.entity.js'
import { jsonRows } from '../db/json-rows.js'
import { EPOCH } from '../db/signals.module.js'
import { LogStreams } from '../log/log-streams.js'
import type { Release } from '../release/release.entity.js'
import { serviceSpec } from '../release/service-spec.js'
import { DATA_SOURCE } from '../tokens.js'

export interface DesiredSnapshot extends Snapshot<DesiredInstance> {
  streams: DesiredStream[]
}

interface PlacedInstance {
  id: InstanceId
  teamId: TeamId
  appId: AppId
  releaseId: ReleaseId | null
  buildId: BuildId | null
  type: string
  slot: number
  releaseVersion: number | null
  intent: Intent
  limits: InstanceLimits
}
type PlacedApp = Pick<App, 'id' | 'teamId' | 'name' | 'settings' | 'dataKey'>
type PlacedRelease = Pick<Release, 'id' | 'version' | 'image' | 'processTypes' | 'config' | 'checks'>
interface PlacedBuild extends Pick<Build, 'id' | 'appId' | 'stack' | 'commit' | 'isClean' | 'rebasedFrom'> {
  /** The app's newest image, whose layers may be used again. */
  newestImage: string | null
}

interface Placed {
  revision: number
  instances: PlacedInstance[]
  apps: PlacedApp[]
  releases: PlacedRelease[]
  builds: PlacedBuild[]
}

const INSTANCES = `SELECT id, team_id AS "teamId", app_id AS "appId", release_id AS "releaseId", build_id AS "buildId", type, slot,
    release_version AS "releaseVersion", intent, limits FROM placed ORDER BY id`

const APPS = `SELECT id, team_id AS "teamId", name, settings, data_key AS "dataKey" FROM app
  WHERE id IN (SELECT app_id FROM placed)`

const RELEASES = `SELECT id, version, image, process_types AS "processTypes", config, checks FROM release
  WHERE id IN (SELECT release_id FROM placed)`

const BUILDS = `SELECT id, app_id AS "appId", stack, commit, is_clean AS "isClean", rebased_from AS "rebasedFrom",
    (SELECT former.image FROM build former WHERE former.app_id = build.app_id AND former.state = 'succeeded'
       AND former.image IS NOT NULL ORDER BY former.ended_at DESC LIMIT 1) AS "newestImage"
  FROM build WHERE id IN (SELECT build_id FROM placed)`

/** What is placed on the node $1, whose counter is $2: one statement, so one moment and one round trip. */
const PLACED = `WITH placed AS MATERIALIZED (SELECT * FROM instance WHERE node_id = $1 AND gone_at IS NULL)
  SELECT json_build_object(
    'revision', coalesce((SELECT value FROM revision WHERE name = $2), 0),
    'instances', ${jsonRows(INSTANCES)},
    'apps', ${jsonRows(APPS)},
    'releases', ${jsonRows(RELEASES)},
    'builds', ${jsonRows(BUILDS)}) AS placed`

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
    const [row] = await this.dataSource.query<{ placed: Placed }[]>(PLACED, [nodeId, `node:${nodeId}`])
    if (row === undefined) throw new Error('what is placed was not read')
    const { revision, instances, ...sources } = row.placed
    const specs = await this.#specSource(sources)
    return {
      epoch: this.epoch,
      revision,
      complete: true,
      items: instances.flatMap((instance) => specs(instance) ?? []),
      streams: this.streams.forNode(nodeId),
    }
  }

  async #specSource(
    found: Omit<Placed, 'revision' | 'instances'>,
  ): Promise<(i: PlacedInstance) => DesiredInstance | null> {
    const apps = byId(found.apps)
    const releases = byId(found.releases)
    const builds = byId(found.builds)
    const buildEnv = new Map<AppId, Record<string, string>>()
    for (const { appId } of builds.values()) {
      const app = apps.get(appId)
      if (app !== undefined) buildEnv.set(appId, await this.config.openForBuild(app))
    }
    return (instance) => {
      const app = apps.get(instance.appId)
      const build = instance.buildId === null ? undefined : builds.get(instance.buildId)
      const release = instance.releaseId === null ? undefined : releases.get(instance.releaseId)
      if (app === undefined) return null
      const spec =
        build !== undefined
          ? buildSpec(build, instance, buildEnv.get(app.id) ?? {})
          : release !== undefined
            ? serviceSpec({
                appName: app.name,
                type: instance.type,
                slot: instance.slot,
                limits: instance.limits,
                settings: app.settings,
                release,
                config: this.config.open(app, release.config),
              })
            : null
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
}

function buildSpec(build: PlacedBuild, { limits }: PlacedInstance, env: Record<string, string>): BuildSpec {
  return {
    kind: 'build',
    buildId: build.id,
    stack: build.stack,
    previousImage: build.rebasedFrom ?? build.newestImage,
    env,
    limits,
    timeoutMs: BUILD_TIMEOUT_MS,
    isClean: build.isClean,
    ...(build.rebasedFrom !== null && { isRebase: true }),
    commit: build.commit,
  }
}

function byId<Row extends { id: string }>(rows: readonly Row[]): Map<Row['id'], Row> {
  return new Map(rows.map((row) => [row.id, row]))
}
