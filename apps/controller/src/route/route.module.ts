import { Module } from '@nestjs/common'
import { RouteReader } from './route-reader.js'
import { RouteSyncController } from './route-sync.controller.js'
import { RouterService } from './router.service.js'

/** Traffic is kept on ready instances. */
@Module({ providers: [RouteReader, RouterService, RouteSyncController] })
export class RouteModule {}
