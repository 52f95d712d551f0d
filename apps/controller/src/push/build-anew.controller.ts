import { Body, Controller, Inject, Param, Post, Res } from '@nestjs/common'
import type { Clock } from '@croft/kit'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { CLOCK } from '../tokens.js'
import { BuildAnew } from './build-anew.js'
import { answerProgress, progressSchema } from './progress.js'

const bodySchema = z.strictObject({
  /** Whether the build starts from what earlier ones kept. */
  cache: z.boolean().default(true),
  /** Whether it goes on when the client leaves; otherwise that cancels it. */
  detach: z.boolean().default(false),
})

@Controller('api/v1/apps/:app/builds')
export class BuildAnewController {
  constructor(
    @Inject(BuildAnew) private readonly anew: BuildAnew,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Builds and deploys once more what was pushed last; one JSON object a line, as it goes on. */
  @Post()
  @Policy('app:deploy')
  @Answers(progressSchema)
  async create(
    @Who() who: Principal,
    @Param('app') name: string,
    @Body({ schema: bodySchema }) body: z.infer<typeof bodySchema>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const prepared = await this.anew.prepare(who, name, !body.cache)
    const options = { isDetached: body.detach, firstLine: '-----> Preparing the build' }
    await answerProgress(reply, this.clock, options, (output, gone) => this.anew.run(prepared, output, gone))
  }
}
