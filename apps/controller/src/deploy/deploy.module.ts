import { Global, Module } from '@nestjs/common'
import { DeployController } from './deploy.controller.js'
import { DeployService } from './deploy.service.js'
import { Deployer } from './deployer.js'
import { RollbackService } from './rollback.service.js'

/** A release becomes the one that runs. */
@Global()
@Module({
  providers: [DeployService, Deployer, RollbackService],
  controllers: [DeployController],
  exports: [DeployService, Deployer],
})
export class DeployModule {}
