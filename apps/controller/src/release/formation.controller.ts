import { Body, Controller, Get, Inject, Param, Patch } from '@nestjs/common'
import { z } from 'zod'
import { AppService } from '../app/app.service.js'
import type { Formation } from '../app/formation.entity.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { FormationService, MAX_QUANTITY } from './formation.service.js'

/** Process type → quantity, e.g. `{"web": 3, "worker": 1}`. */
const quantitiesSchema = z
  .record(z.string().min(1).max(63), z.int().min(0).max(MAX_QUANTITY))
  .refine((quantities) => Object.keys(quantities).length > 0, 'name at least one process type')

export const formationSchema = z.object({
  type: z.string(),
  quantity: z.int(),
  memoryLimitBytes: z.int(),
  /** Millicores; null = no quota. */
  cpuQuotaMillis: z.int().nullable(),
})
type FormationAnswer = z.infer<typeof formationSchema>

@Controller('api/v1/apps/:app/formation')
export class FormationController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(FormationService) private readonly formation: FormationService,
  ) {}

  @Get()
  @Policy('app:read')
  @Answers(z.array(formationSchema))
  async list(@Who() principal: Principal, @Param('app') name: string): Promise<FormationAnswer[]> {
    return (await this.formation.list(await this.apps.findInTeam(principal.teamId, name))).map(answer)
  }

  @Patch()
  @Policy('app:write')
  @Answers(z.array(formationSchema))
  async scale(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Body({ schema: quantitiesSchema }) quantities: z.infer<typeof quantitiesSchema>,
  ): Promise<FormationAnswer[]> {
    return (await this.formation.scale(principal, name, quantities)).map(answer)
  }
}

function answer(row: Formation): FormationAnswer {
  return {
    type: row.type,
    quantity: row.quantity,
    memoryLimitBytes: row.limits.memoryBytes,
    cpuQuotaMillis: row.limits.cpuQuotaMillis,
  }
}
