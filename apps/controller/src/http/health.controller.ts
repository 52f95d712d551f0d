import { Controller, Get, Inject, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import type { ControllerConfig } from '../config.js'
import { CONFIG } from '../tokens.js'
import { Answers } from './answers.js'
import { HealthService } from './health.service.js'

export const healthSchema = z.object({
  ready: z.boolean(),
  version: z.string(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string().nullable() })),
})

@Controller('api/v1/health')
export class HealthController {
  constructor(
    @Inject(HealthService) private readonly health: HealthService,
    @Inject(CONFIG) private readonly config: ControllerConfig,
  ) {}

  /** 200 when a push would go through, else 503; the body says which part is missing. */
  @Get()
  @Policy('public')
  @Answers(healthSchema)
  async read(@Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof healthSchema>> {
    const checks = await this.health.checks()
    const ready = checks.every((check) => check.isOk)
    reply.status(ready ? 200 : 503)
    return {
      ready,
      version: this.config.version,
      checks: checks.map(({ name, isOk, detail }) => ({ name, ok: isOk, detail })),
    }
  }
}
