import { Global, Module } from '@nestjs/common'
import { FormationController } from './formation.controller.js'
import { FormationService } from './formation.service.js'
import { ReleaseController } from './release.controller.js'
import { ReleaseService } from './release.service.js'

/** What an app runs, and how many of it. */
@Global()
@Module({
  providers: [ReleaseService, FormationService],
  controllers: [ReleaseController, FormationController],
  exports: [ReleaseService, FormationService],
})
export class ReleaseModule {}
