import { Global, Module } from '@nestjs/common'
import { SignalsModule } from '../db/signals.module.js'
import { LogModule } from '../log/log.module.js'
import { DesiredSet } from './desired-set.js'
import { NodeSyncController } from './node-sync.controller.js'
import { NodeLeases } from './node-leases.js'
import { NodeService } from './node.service.js'

/** What nodes are told and what they say. */
@Global()
@Module({
  imports: [SignalsModule, LogModule],
  providers: [NodeService, NodeLeases, DesiredSet, NodeSyncController],
  exports: [NodeService, NodeLeases],
})
export class NodeModule {}
