import { Module, type DynamicModule } from '@nestjs/common'
import { systemClock, type Clock, type Logger } from '@croft/kit'
import type { Redis } from 'ioredis'
import type { DataSource } from 'typeorm'
import { AppApiModule } from './app/app-api.module.js'
import { AppModule } from './app/app.module.js'
import { AuthModule } from './auth/auth.module.js'
import { BuildModule } from './build/build.module.js'
import type { ControllerConfig } from './config.js'
import { connectAndMigrate } from './db/connect.js'
import { createDataSource } from './db/data-source.js'
import { createRedis } from './db/redis.js'
import { DeployModule } from './deploy/deploy.module.js'
import { EventModule } from './event/event.module.js'
import { HttpModule } from './http/http.module.js'
import { InternalServer } from './http/internal-server.js'
import { ImageModule } from './image/image.module.js'
import { InstanceModule } from './instance/instance.module.js'
import { LogModule } from './log/log.module.js'
import { NodeModule } from './node/node.module.js'
import { PagesModule } from './pages/pages.module.js'
import { PushModule } from './push/push.module.js'
import { ReleaseModule } from './release/release.module.js'
import { RouteModule } from './route/route.module.js'
import { ScheduleModule } from './schedule/schedule.module.js'
import { SettingsModule } from './settings/settings.module.js'
import { StackModule } from './stack/stack.module.js'
import { TeamModule } from './team/team.module.js'
import { CLOCK, CONFIG, CONTROL_SERVER, DATA_SOURCE, LOGGER, NODE_SERVER, REDIS } from './tokens.js'

/** What a test may put in place of the world. */
export interface ControllerPorts {
  logger: Logger
  clock?: Clock
}

/** What every module may inject by token: the adapters are chosen here and nowhere else. */
@Module({})
export class CoreModule {
  static for(config: ControllerConfig, ports: ControllerPorts): DynamicModule {
    const { logger } = ports
    const providers = [
      { provide: CONFIG, useValue: config },
      { provide: LOGGER, useValue: logger },
      { provide: CLOCK, useValue: ports.clock ?? systemClock },
      {
        provide: DATA_SOURCE,
        useFactory: (): Promise<DataSource> => connectAndMigrate(createDataSource(config.databaseUrl), logger),
      },
      {
        provide: REDIS,
        useFactory: (): Redis => {
          const redis = createRedis(config.redisUrl)
          redis.on('error', (error: Error) => logger.debug('redis-error', { why: error.message }))
          void redis.connect().catch(() => undefined) // it reconnects by itself; who needs it asks
          return redis
        },
      },
      {
        provide: NODE_SERVER,
        useFactory: () => new InternalServer('node', `${config.run}/node/node.sock`, logger),
      },
      {
        provide: CONTROL_SERVER,
        useFactory: () => new InternalServer('control', `${config.run}/control/control.sock`, logger),
      },
    ]
    return { module: CoreModule, global: true, providers, exports: providers.map((provider) => provider.provide) }
  }
}

/** One module per folder; the order is that of the data's way: team → app → push → build → image → release → … → route. */
@Module({})
export class ControllerModule {
  static for(config: ControllerConfig, ports: ControllerPorts): DynamicModule {
    return {
      module: ControllerModule,
      imports: [
        CoreModule.for(config, ports),
        HttpModule,
        AuthModule,
        TeamModule,
        SettingsModule,
        EventModule,
        AppModule,
        PushModule,
        BuildModule,
        StackModule,
        ImageModule,
        ReleaseModule,
        DeployModule,
        ScheduleModule,
        InstanceModule,
        NodeModule,
        RouteModule,
        LogModule,
        AppApiModule,
        PagesModule,
      ],
    }
  }
}
