import { Body, Controller, HttpCode, Inject, Param, Post, Req } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { ImageDeployService } from './image-deploy.service.js'

/** The longest an image may take to be pulled, ms. */
const PULL_MS = 30 * 60_000

const wishSchema = z.strictObject({
  /** `[HOST/]NAME[:TAG][@DIGEST]`. */
  image: z.string().min(1).max(512),
  /** Where it listens; default: what it says itself. */
  port: z.int().min(1).max(65_535).optional(),
})
export const imageDeploymentSchema = z.object({
  /** Digest of the manifest that runs. */
  image: z.string(),
  release: z.int(),
  deployment: z.uuid(),
  warnings: z.array(z.string()),
})

@Controller('api/v1/apps/:app/images')
export class ImageDeployController {
  constructor(@Inject(ImageDeployService) private readonly images: ImageDeployService) {}

  /** Pulls an image and begins its deployment; answers when it has been pulled. */
  @Post()
  @HttpCode(202)
  @Policy('app:deploy')
  @Answers(imageDeploymentSchema)
  async deploy(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Body({ schema: wishSchema }) wish: z.infer<typeof wishSchema>,
    @Req() request: FastifyRequest,
  ): Promise<z.infer<typeof imageDeploymentSchema>> {
    const gone = new AbortController()
    request.raw.socket.once('close', () => gone.abort(new Error('the client left')))
    return this.images.deploy(principal, name, wish, AbortSignal.any([gone.signal, AbortSignal.timeout(PULL_MS)]))
  }
}
