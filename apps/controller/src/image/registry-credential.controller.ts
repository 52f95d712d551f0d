import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put } from '@nestjs/common'
import { CroftError } from '@croft/kit'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { RegistryCredentialService } from './registry-credential.service.js'

const credentialsSchema = z.strictObject({
  username: z.string().min(1).max(255),
  password: z.string().min(1).max(16_384),
})
export const registrySchema = z.object({ host: z.string(), username: z.string(), updatedAt: z.iso.datetime() })

/** No credentials for that registry. */
class NoSuchRegistry extends CroftError {
  constructor(host: string) {
    super({
      code: 'registry-unknown',
      status: 404,
      title: `there are no credentials for ${host.slice(0, 100)}`,
      suggestion: 'croft registry lists those that are there',
    })
  }
}

/** What the team pulls from foreign registries with; passwords go in and never come out. */
@Controller('api/v1/registries')
export class RegistryCredentialController {
  constructor(@Inject(RegistryCredentialService) private readonly credentials: RegistryCredentialService) {}

  @Get()
  @Policy('app:read')
  @Answers(z.array(registrySchema))
  async list(@Who() principal: Principal): Promise<z.infer<typeof registrySchema>[]> {
    const rows = await this.credentials.list(principal.teamId)
    return rows.map(({ host, username, updatedAt }) => ({ host, username, updatedAt: updatedAt.toISOString() }))
  }

  @Put(':registry')
  @HttpCode(204)
  @Policy('config:write')
  async set(
    @Who() principal: Principal,
    @Param('registry') host: string,
    @Body({ schema: credentialsSchema }) credentials: z.infer<typeof credentialsSchema>,
  ): Promise<void> {
    await this.credentials.set(principal, host, credentials)
  }

  @Delete(':registry')
  @HttpCode(204)
  @Policy('config:write')
  async remove(@Who() principal: Principal, @Param('registry') host: string): Promise<void> {
    if (!(await this.credentials.remove(principal, host))) throw new NoSuchRegistry(host)
  }
}
