import { Module } from '@nestjs/common'
import { BuildModule } from '../build/build.module.js'
import { ImageModule } from '../image/image.module.js'
import { BuildAnewController } from './build-anew.controller.js'
import { BuildAnew } from './build-anew.js'
import { Delivery } from './delivery.js'
import { FolderDeployController } from './folder-deploy.controller.js'
import { FolderDeploy } from './folder-deploy.js'
import { GitHttpController } from './git-http.controller.js'
import { PushRecovery } from './push-recovery.js'
import { PushRows } from './push-rows.js'
import { PushService } from './push.service.js'
import { Receptions } from './receptions.js'
import { RepositoryUpkeep } from './repository-upkeep.js'
import { RepositoryModule } from './repository.module.js'

/** From `git push` to a moved ref. */
@Module({
  imports: [BuildModule, ImageModule, RepositoryModule],
  controllers: [BuildAnewController, FolderDeployController, GitHttpController],
  providers: [BuildAnew, Delivery, FolderDeploy, PushRecovery, PushRows, PushService, Receptions, RepositoryUpkeep],
})
export class PushModule {}
