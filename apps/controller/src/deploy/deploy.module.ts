import { Global, Module } from '@nestjs/common'
import { BuildModule } from '../build/build.module.js'
import { ImageModule } from '../image/image.module.js'
import { DeployController } from './deploy.controller.js'
import { DeployService } from './deploy.service.js'
import { Deployer } from './deployer.js'
import { RebaseController } from './rebase.controller.js'
import { RebaseService } from './rebase.service.js'
import { RollbackService } from './rollback.service.js'

/** A release becomes the one that runs. */
@Global()
@Module({
  imports: [BuildModule, ImageModule],
  providers: [DeployService, Deployer, RollbackService, RebaseService],
  controllers: [DeployController, RebaseController],
  exports: [DeployService, Deployer],
})
export class DeployModule {}
