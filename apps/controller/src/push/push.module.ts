import { Module } from '@nestjs/common'
import { BuildModule } from '../build/build.module.js'
import { DeployService } from '../deploy/deploy.service.js'
import { GitHttpController } from './git-http.controller.js'
import { DEPLOYS } from './ports.js'
import { PushService } from './push.service.js'
import { RepositoryModule } from './repository.module.js'

/** From a ref update to a deployed release, or a reason. */
@Module({
  imports: [RepositoryModule, BuildModule],
  controllers: [GitHttpController],
  providers: [PushService, { provide: DEPLOYS, useExisting: DeployService }],
})
export class PushModule {}
