import { Global, Module } from '@nestjs/common'
import { SignalsModule } from '../db/signals.module.js'
import { LogModule } from '../log/log.module.js'
import { DesiredSet } from './desired-set.js'
import { NodeSyncController } from './node-sync.controller.js'
import { NodeService } from './node.service.js'

/** What nodes are told and what they say. */
@Global()
@Module({
  imports: [SignalsModule, LogModule],
  providers: [NodeService, DesiredSet, NodeSyncController],
  exports: [NodeService],
})
export class NodeModule {}
