import { Body, Controller, HttpCode, Inject, Param, Post, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { clientGone } from '../http/client-gone.js'
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
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof imageDeploymentSchema>> {
    return this.images.deploy(principal, name, wish, AbortSignal.any([clientGone(reply), AbortSignal.timeout(PULL_MS)]))
  }
}
