import { Controller, HttpCode, Inject, Param, Post, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { clientGone } from '../http/client-gone.js'
import { RebaseService } from './rebase.service.js'

export const rebaseSchema = z.object({
  /** Manifest digest. */
  image: z.string(),
  /** Null, like the deployment, when the app stands on the present base image already. */
  release: z.int().nullable(),
  deployment: z.uuid().nullable(),
})

@Controller('api/v1/apps/:app/rebase')
export class RebaseController {
  constructor(@Inject(RebaseService) private readonly rebases: RebaseService) {}

  /** Puts the present base image under the app and begins the deployment of that. */
  @Post()
  @HttpCode(202)
  @Policy('app:deploy')
  @Answers(rebaseSchema)
  async rebase(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof rebaseSchema>> {
    const { image, deployment } = await this.rebases.start(principal, name, clientGone(reply))
    return { image, release: deployment?.releaseVersion ?? null, deployment: deployment?.id ?? null }
  }
}
