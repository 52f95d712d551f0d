import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common'
import { BuildQueue } from './build.queue.js'
import { BuildService } from './build.service.js'

/** The queue's worker: each wake is one look at whose turn it is. */
@Injectable()
export class BuildProcessor implements OnApplicationBootstrap {
  constructor(
    @Inject(BuildQueue) private readonly queue: BuildQueue,
    @Inject(BuildService) private readonly builds: BuildService,
  ) {}

  onApplicationBootstrap(): void {
    this.queue.listen(async () => {
      await this.builds.startNext()
    })
  }
}
