import { Module } from '@nestjs/common'
import { TeamModule } from '../team/team.module.js'
import { AppController } from './app.controller.js'
import { ConfigController } from './config.controller.js'
import { ConfigService } from './config.service.js'

/** The HTTP of apps and config vars; apart from `AppModule` because it needs releases and deployments, which need apps. */
@Module({ imports: [TeamModule], controllers: [AppController, ConfigController], providers: [ConfigService] })
export class AppApiModule {}
