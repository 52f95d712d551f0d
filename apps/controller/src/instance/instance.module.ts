import { Global, Module } from '@nestjs/common'
import { InstanceWriter } from './instance-writer.js'
import { PsController } from './ps.controller.js'

/** What is wanted and what is observed, process by process. */
@Global()
@Module({ providers: [InstanceWriter], controllers: [PsController], exports: [InstanceWriter] })
export class InstanceModule {}
