import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common'
import { BuildTurns } from './build-turns.js'
import { BuildQueue } from './build.queue.js'

/** The queue's worker: each wake is one look at whose turn it is. */
@Injectable()
export class BuildProcessor implements OnApplicationBootstrap {
  constructor(
    @Inject(BuildQueue) private readonly queue: BuildQueue,
    @Inject(BuildTurns) private readonly turns: BuildTurns,
  ) {}

  onApplicationBootstrap(): void {
    this.queue.listen(async () => {
      await this.turns.startNext()
    })
  }
}
