import { Module } from '@nestjs/common'
import { Repositories } from './repository.js'

/** The git repositories, for pushes and for the source of builds. */
@Module({ providers: [Repositories], exports: [Repositories] })
export class RepositoryModule {}
