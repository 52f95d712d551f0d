import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { notify } from '../db/signals.js'
import { Answers } from '../http/answers.js'
import { DATA_SOURCE } from '../tokens.js'
import type { DataSource } from 'typeorm'
import { DeployService } from './deploy.service.js'
import type { Deployment } from './deployment.entity.js'
import { deploymentMachine } from './deployment.machine.js'
import { DeploymentNotFound } from './errors.js'
import { RollbackService } from './rollback.service.js'

const querySchema = z.object({
  /** Seconds to wait for its end. */
  wait: z.coerce.number().min(0).max(60).default(0),
})

const rollbackSchema = z.object({
  /** `v12` or `12`; without it the newest one before the present release that served. */
  release: z.string().optional(),
  /** Its quantities come back too. */
  formation: z.boolean().default(false),
})

export const deploymentSchema = z.object({
  id: z.uuid(),
  release: z.int(),
  state: z.enum(['pending', 'releasing', 'rolling', 'succeeded', 'reverting', 'failed', 'canceled']),
  /** Why it failed, what to do, and the app's last lines, one a line. */
  message: z.string().nullable(),
  createdAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
})
type DeploymentAnswer = z.infer<typeof deploymentSchema>

@Controller('api/v1/apps/:app')
export class DeployController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(DeployService) private readonly deploys: DeployService,
    @Inject(RollbackService) private readonly rollbacks: RollbackService,
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
  ) {}

  /** Replaces every instance by a new one of the same release, without a gap. */
  @Post('restart')
  @HttpCode(202)
  @Policy('app:write')
  @Answers(deploymentSchema)
  async restart(@Who() principal: Principal, @Param('app') name: string): Promise<DeploymentAnswer> {
    return answer(await this.deploys.restart(principal, name))
  }

  /** An older release as a new one, without a build. */
  @Post('rollback')
  @HttpCode(202)
  @Policy('app:deploy')
  @Answers(deploymentSchema)
  async rollback(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Body({ schema: rollbackSchema }) wish: z.infer<typeof rollbackSchema>,
  ): Promise<DeploymentAnswer> {
    return answer(await this.rollbacks.start(principal, name, { release: wish.release, withFormation: wish.formation }))
  }

  /** Ends every instance; the formation stays as it is. */
  @Post('stop')
  @HttpCode(204)
  @Policy('app:write')
  async stop(@Who() principal: Principal, @Param('app') name: string): Promise<void> {
    await this.#setStopped(principal, name, true)
  }

  /** Runs what the formation asks for again. */
  @Post('start')
  @HttpCode(204)
  @Policy('app:write')
  async start(@Who() principal: Principal, @Param('app') name: string): Promise<void> {
    await this.#setStopped(principal, name, false)
  }

  /** A deployment, at once or when it has ended. */
  @Get('deployments/:deployment')
  @Policy('app:read')
  @Answers(deploymentSchema)
  async read(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Param('deployment') id: string,
    @Query({ schema: querySchema }) query: z.infer<typeof querySchema>,
    @Req() request: FastifyRequest,
  ): Promise<DeploymentAnswer> {
    const app = await this.apps.findInTeam(principal.teamId, name)
    const end = performance.now() + query.wait * 1000
    for (;;) {
      const deployment = await this.deploys.find(app, id)
      if (deployment === null) throw new DeploymentNotFound(app.name)
      const left = end - performance.now()
      if (left <= 0 || deploymentMachine.isFinal(deployment.state) || request.raw.destroyed) return answer(deployment)
      await this.deploys.changed(deployment.id, left)
    }
  }

  async #setStopped(principal: Principal, name: string, isStopped: boolean): Promise<void> {
    const app = await this.apps.changeSettings(principal, name, { isStopped: isStopped ? true : null })
    await notify(this.dataSource.manager, `app ${app.id}`)
  }
}

function answer(deployment: Deployment): DeploymentAnswer {
  return {
    id: deployment.id,
    release: deployment.releaseVersion,
    state: deployment.state,
    message: deployment.message,
    createdAt: deployment.createdAt.toISOString(),
    endedAt: deployment.endedAt?.toISOString() ?? null,
  }
}
