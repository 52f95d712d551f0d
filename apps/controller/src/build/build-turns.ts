import { Inject, Injectable } from '@nestjs/common'
import { failpoint, type Clock, type Logger } from '@croft/kit'
import { In, IsNull, type DataSource, type EntityManager } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { bumpRevision } from '../db/revision.js'
import { notify } from '../db/signals.js'
import { BUILD_PLACE, InstanceWriter } from '../instance/instance-writer.js'
import { Instance } from '../instance/instance.entity.js'
import { NodeLeases } from '../node/node-leases.js'
import { placementOf, shapeOf } from '../schedule/placements.js'
import { healthOf, type LoopClock } from '../schedule/view.js'
import { loadWorld } from '../schedule/world.js'
import { SettingsService } from '../settings/settings.service.js'
import { CLOCK, CONFIG, DATA_SOURCE, LOGGER } from '../tokens.js'
import { admit, buildMemoryBytes, MAX_MEMORY_WAIT_MS, waitedTooLong, type Admission } from './admission.js'
import { BUILD_LIMITS, buildSlots } from './build-limits.js'
import { BuildRows, type NewBuild } from './build-rows.js'
import { Build } from './build.entity.js'
import { readBuilderNodes, readLastStarts } from './builder-nodes.js'
import { nextBuild, type OpenBuild } from './next-build.js'

/** Counting and starting builds is one decision. */
const START_LOCK = 0x62756c64

const ROOM: Admission & { kind: 'room' } = { kind: 'room' }

/** Whose turn it is to build: starts what may begin, says what the others wait for, and gives up what waits in vain. */
@Injectable()
export class BuildTurns {
  /** What was last found of the memory of the nodes. */
  #memory: Exclude<Admission, { kind: 'waits' }> | { kind: 'waits'; why: string; sinceMs: number } = ROOM

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(BuildRows) private readonly rows: BuildRows,
    @Inject(InstanceWriter) private readonly instances: InstanceWriter,
    @Inject(SettingsService) private readonly settings: SettingsService,
    @Inject(NodeLeases) private readonly leases: NodeLeases,
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  get #loopClock(): LoopClock {
    return { controllerStartedAtMs: this.leases.startedAtMs, timeScale: this.config.timeScale }
  }

  /** Queues a build and starts the one whose turn it is, in one transaction. What has to wait is started when another one ends. */
  async queue(wanted: NewBuild): Promise<Build> {
    const setMib = await this.settings.get('buildMemoryMib')
    const { queued, started } = await this.#inTurn(async (manager) => ({
      queued: await this.rows.insert(manager, wanted),
      started: await this.#start(manager, setMib),
    }))
    this.logger.info('build-queued', { app: queued.appId, build: queued.id, push: queued.pushId })
    failpoint('build-queued')
    await this.#tell(started)
    return queued
  }

  /** Starts the queued build whose turn it is, when one may. True when it started one. */
  async startNext(): Promise<boolean> {
    if (!(await this.#builds().existsBy({ state: 'queued' }))) {
      this.#memory = ROOM
      return false
    }
    const setMib = await this.settings.get('buildMemoryMib')
    return this.#tell(await this.#inTurn((manager) => this.#start(manager, setMib)))
  }

  #inTurn<T>(decide: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.dataSource.transaction(async (manager) => {
      await manager.query('SELECT pg_advisory_xact_lock($1)', [START_LOCK])
      return decide(manager)
    })
  }

  /** `queued → running`, with the instance of the build where there is a node for it right away. */
  async #start(manager: EntityManager, setMib: number | null): Promise<Build | undefined> {
    const open = await manager.getRepository(Build).find({ where: { state: In(['queued', 'running']) } })
    const nodes = await readBuilderNodes(manager)
    const memoryBytes = buildMemoryBytes(setMib, nodes)
    const queued = open.filter((build) => build.state === 'queued')
    const running = open.filter((build) => build.state === 'running')
    const slots = buildSlots(nodes)
    if (running.length >= slots) return undefined
    const isNeeded = queued.some((build) => build.rebasedFrom === null)
    const admission = isNeeded ? admit(memoryBytes, nodes) : ROOM
    this.#remember(admission, running.length > 0)
    const teams = new Set(queued.map((build) => build.teamId))
    const id = nextBuild(
      // a rebase writes two documents and needs none
      queued.filter((build) => admission.kind === 'room' || build.rebasedFrom !== null).map(openBuild),
      running.map(openBuild),
      slots,
      teams.size > 1 ? await readLastStarts(manager) : new Map(),
    )
    const build = open.find((candidate) => candidate.id === id)
    if (build === undefined) return undefined
    const limits = { ...BUILD_LIMITS, memoryBytes }
    const world = await loadWorld(manager)
    const shape = shapeOf({ ...BUILD_PLACE, appId: build.appId, limits })
    const nodeId = placementOf(shape, world, healthOf(world, this.#loopClock))
    if (nodeId === null) await notify(manager, `app ${build.appId}`)
    else await bumpRevision(manager, `node:${nodeId}`)
    const instance = await this.instances.insertBuild(manager, { build, limits, nodeId })
    await this.rows.start(manager, build, instance.id)
    return build
  }

  async #tell(started: Build | undefined): Promise<boolean> {
    if (started === undefined) {
      await this.#giveUp()
      return false
    }
    this.logger.info('build-started', { app: started.appId, build: started.id, attempt: started.attempt })
    return true
  }

  /** Why nothing happens yet, for whoever waits; undefined while it builds. */
  async waitsFor(build: Build): Promise<string | undefined> {
    if (build.state === 'queued') {
      const running = await this.#builds().countBy({ state: 'running' })
      if (running > 0) return `Waiting for ${running} other ${running === 1 ? 'build' : 'builds'} to end`
      return this.#memory.kind === 'waits' && build.rebasedFrom === null ? `Waiting for ${this.#memory.why}` : undefined
    }
    if (build.instanceId === null) return undefined
    const instance = await this.dataSource.getRepository(Instance).findOneBy({ id: build.instanceId })
    const error = instance?.nodeId === null ? instance.placementError : null
    return error === null ? undefined : `Waiting: ${error}`
  }

  /** Remembers since when builds wait for memory that no other build will free. */
  #remember(admission: Admission, isBuilding: boolean): void {
    const sinceMs = this.#memory.kind === 'waits' && !isBuilding ? this.#memory.sinceMs : this.clock.monotonic()
    this.#memory = admission.kind === 'waits' ? { ...admission, sinceMs } : admission
  }

  /** Fails the builds that wait for memory in vain. */
  async #giveUp(): Promise<void> {
    const memory = this.#memory
    if (memory.kind === 'room') return
    const isOver = memory.kind === 'never' || this.clock.monotonic() - memory.sinceMs > MAX_MEMORY_WAIT_MS
    if (!isOver) return
    const why = memory.kind === 'never' ? memory : waitedTooLong(memory.why)
    for (const build of await this.#builds().findBy({ state: 'queued', rebasedFrom: IsNull() })) {
      await this.rows.giveUp(build, why)
    }
  }

  #builds() {
    return this.dataSource.getRepository(Build)
  }
}

function openBuild(build: Build): OpenBuild {
  return { id: build.id, teamId: build.teamId, appId: build.appId, createdAt: build.createdAt.getTime() }
}
