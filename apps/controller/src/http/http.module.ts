import { Module } from '@nestjs/common'
import { HealthController } from './health.controller.js'
import { HealthService } from './health.service.js'
import { OpenApiController } from './openapi.controller.js'

@Module({ controllers: [HealthController, OpenApiController], providers: [HealthService], exports: [HealthService] })
export class HttpModule {}
