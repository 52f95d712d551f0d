import { Module } from '@nestjs/common'
import { ImageModule } from '../image/image.module.js'
import { RepositoryModule } from '../push/repository.module.js'
import { TeamModule } from '../team/team.module.js'
import { BuildLog } from './build-log.js'
import { BuildNodeRoutes } from './build-node.routes.js'
import { BuildRows } from './build-rows.js'
import { BuildTurns } from './build-turns.js'
import { BuildController } from './build.controller.js'
import { BuildProcessor } from './build.processor.js'
import { BuildQueue } from './build.queue.js'
import { BuildService } from './build.service.js'
import { BuildSweeper } from './build.sweeper.js'
import { WishFileReader } from './wish-files.js'

/** From a commit to an image, on an executor. */
@Module({
  imports: [ImageModule, RepositoryModule, TeamModule],
  controllers: [BuildController],
  providers: [
    BuildLog,
    BuildNodeRoutes,
    BuildProcessor,
    BuildQueue,
    BuildRows,
    BuildService,
    BuildSweeper,
    BuildTurns,
    WishFileReader,
  ],
  exports: [BuildService, WishFileReader],
})
export class BuildModule {}
