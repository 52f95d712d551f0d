import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { messageOf, type BuildId, type Logger } from '@croft/kit'
import { buildReachSchema } from '@croft/protocol'
import { z } from 'zod'
import { clientGone } from '../http/client-gone.js'
import type { InternalServer } from '../http/internal-server.js'
import { parseInput } from '../http/parse-input.js'
import { ImageImport } from '../image/image-import.js'
import { Repositories } from '../push/repository.js'
import { TeamService } from '../team/team.service.js'
import { SettingsService } from '../settings/settings.service.js'
import { LOGGER, NODE_SERVER } from '../tokens.js'
import { BuildLog } from './build-log.js'
import { BuildService } from './build.service.js'
import { chooseBuilder } from './choose-builder.js'
import { ignoredOf, wishesOf } from './build-wishes.js'
import { sourceTar } from './source-tar.js'
import { WishFileReader } from './wish-files.js'

const imageSchema = z.object({ image: z.string().min(1).max(512) })

/**
 * What an executor asks of a build it runs: its source as a tar, what the app wants of it, the images its Dockerfile builds on, and a
 * place for its log.
 */
@Injectable()
export class BuildNodeRoutes implements OnModuleInit {
  constructor(
    @Inject(NODE_SERVER) private readonly server: InternalServer,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(BuildLog) private readonly log: BuildLog,
    @Inject(TeamService) private readonly teams: TeamService,
    @Inject(SettingsService) private readonly settings: SettingsService,
    @Inject(ImageImport) private readonly images: ImageImport,
    @Inject(Repositories) private readonly repositories: Repositories,
    @Inject(WishFileReader) private readonly wishFiles: WishFileReader,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    const { fastify } = this.server
    fastify.get<{ Params: { id: string } }>('/v1/builds/:id/source', async (request, reply) => {
      const { build, app } = await this.builds.runningSource(request.params.id)
      const repository = this.repositories.path(app.repositoryId)
      const tar = sourceTar(repository, build.tree, ignoredOf(await this.wishFiles.of(repository, build.tree)))
      tar.on('error', (error) => this.logger.error('source-failed', { build: build.id, why: messageOf(error) }))
      return reply.type('application/x-tar').send(tar)
    })
    fastify.get<{ Params: { id: string } }>('/v1/builds/:id/wishes', async (request) => {
      const { build, app } = await this.builds.runningSource(request.params.id)
      const files = await this.wishFiles.of(this.repositories.path(app.repositoryId), build.tree)
      const [settings, team] = await Promise.all([this.settings.all(), this.teams.get(app.teamId)])
      const rules = { sources: settings.buildpackSources, team: team.name, reach: buildReachSchema.parse(settings) }
      const choice = chooseBuilder(files, app, settings, await this.builds.folderOf(build))
      return {
        ...wishesOf(files, app.settings.buildpacks ?? [], rules),
        ...(choice.kind === 'chosen' && choice.builder === 'dockerfile' && { dockerfile: choice.text }),
        ...(choice.kind === 'chosen' &&
          choice.builder === 'buildpacks' &&
          choice.image !== null && { builder: choice.image }),
      }
    })
    fastify.post<{ Params: { id: string } }>('/v1/builds/:id/images', async (request, reply) => {
      const { app } = await this.builds.runningSource(request.params.id)
      const { image } = parseInput(imageSchema, request.body)
      const imported = await this.images.import({ teamId: app.teamId }, app, image, clientGone(reply))
      return { image: imported.digest }
    })
    fastify.post<{ Params: { id: string } }>('/v1/builds/:id/log', async (request, reply) => {
      const build = await this.builds.loggable(request.params.id)
      // Text and JSON were parsed by the server; anything else is still in the raw request.
      const parsed = typeof request.body === 'string' ? [Buffer.from(request.body)] : request.raw
      await this.#append(build.id, parsed)
      return reply.status(204).send()
    })
  }

  async #append(id: BuildId, body: AsyncIterable<unknown> | Iterable<Buffer>): Promise<void> {
    const closed = this.builds.logOpened(id)
    try {
      for await (const chunk of body) await this.log.append(id, chunk as Buffer)
    } finally {
      closed()
    }
  }
}
