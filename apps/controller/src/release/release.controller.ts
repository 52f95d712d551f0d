import { Controller, Get, Inject, Param, Query } from '@nestjs/common'
import type { DataSource } from 'typeorm'
import { z } from 'zod'
import { In } from 'typeorm'
import type { App } from '../app/app.entity.js'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Deployment } from '../deploy/deployment.entity.js'
import { Answers } from '../http/answers.js'
import { DATA_SOURCE } from '../tokens.js'
import type { Release } from './release.entity.js'
import { ReleaseService } from './release.service.js'
import { releaseStatus } from './release-status.js'

const querySchema = z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(50) })

export const releaseSchema = z.object({
  version: z.int(),
  status: z.enum(['pending', 'succeeded', 'failed', 'canceled']),
  /** Manifest digest. */
  image: z.string().nullable(),
  /** Git commit. */
  commit: z.string().nullable(),
  description: z.string(),
  author: z.string(),
  createdAt: z.iso.datetime(),
  isCurrent: z.boolean(),
  /** Why it failed, for a person. */
  message: z.string().nullable(),
})
type ReleaseAnswer = z.infer<typeof releaseSchema>

export const releaseInfoSchema = releaseSchema.extend({
  processTypes: z.record(z.string(), z.string()),
  /** Names only. */
  config: z.array(z.string()),
  formation: z.record(z.string(), z.int()),
  /** By process type. */
  checks: z.record(z.string(), z.looseObject({ kind: z.string() })),
})

@Controller('api/v1/apps/:app/releases')
export class ReleaseController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
  ) {}

  /** Newest first. */
  @Get()
  @Policy('app:read')
  @Answers(z.array(releaseSchema))
  async list(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Query({ schema: querySchema }) query: z.infer<typeof querySchema>,
  ): Promise<ReleaseAnswer[]> {
    const app = await this.apps.findInTeam(principal.teamId, name)
    return this.#describe(app, await this.releases.list(app.id, query.limit))
  }

  /** `12` or `v12`. */
  @Get(':release')
  @Policy('app:read')
  @Answers(releaseInfoSchema)
  async read(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Param('release') version: string,
  ): Promise<z.infer<typeof releaseInfoSchema>> {
    const app = await this.apps.findInTeam(principal.teamId, name)
    const release = await this.releases.find(app, version)
    const [answer] = await this.#describe(app, [release])
    if (answer === undefined) throw new Error('a release was not described')
    return {
      ...answer,
      processTypes: Object.fromEntries(
        Object.entries(release.processTypes).map(([type, process]) => [type, process.command]),
      ),
      config: Object.keys(release.config),
      formation: release.formation,
      checks: release.checks,
    }
  }

  async #describe(app: App, releases: readonly Release[]): Promise<ReleaseAnswer[]> {
    const deployments = await this.dataSource.getRepository(Deployment).find({
      where: { appId: app.id, releaseId: In(releases.map((release) => release.id)) },
      order: { createdAt: 'DESC' },
    })
    return releases.map((release) => {
      const own = deployments.filter((deployment) => deployment.releaseId === release.id)
      const status = releaseStatus({
        version: release.version,
        currentVersion: app.currentRelease,
        deployments: own.map((deployment) => deployment.state),
      })
      return {
        version: release.version,
        status,
        image: release.image,
        commit: release.commit,
        description: release.description,
        author: release.author,
        createdAt: release.createdAt.toISOString(),
        isCurrent: release.version === app.currentRelease,
        message: status === 'failed' ? (own[0]?.message?.split('\n', 1)[0] ?? null) : null,
      }
    })
  }
}
