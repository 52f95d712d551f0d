import { Module } from '@nestjs/common'
import { BuildModule } from '../build/build.module.js'
import { GitHttpController } from './git-http.controller.js'
import { PushService } from './push.service.js'
import { RepositoryModule } from './repository.module.js'

/** From `git push` to a moved ref. */
@Module({
  imports: [BuildModule, RepositoryModule],
  controllers: [GitHttpController],
  providers: [PushService],
})
export class PushModule {}
