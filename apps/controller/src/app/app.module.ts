import { Global, Module } from '@nestjs/common'
import type { DataSource } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { TeamModule } from '../team/team.module.js'
import { CONFIG, DATA_SOURCE } from '../tokens.js'
import { AppService } from './app.service.js'
import { ConfigStore } from './config-store.js'
import { Keyring } from './keyring.js'
import { KEYRING } from './keyring-token.js'

/** Apps and their config vars, for everybody; their HTTP is in `app-api.module.ts`. */
@Global()
@Module({
  imports: [TeamModule],
  providers: [
    {
      provide: KEYRING,
      inject: [CONFIG, DATA_SOURCE],
      useFactory: async (config: ControllerConfig, dataSource: DataSource): Promise<Keyring> => {
        const [row] = await dataSource.query<{ any: boolean }[]>('SELECT EXISTS (SELECT FROM app) AS any')
        return Keyring.open(config.home, row?.any !== true)
      },
    },
    AppService,
    ConfigStore,
  ],
  exports: [KEYRING, AppService, ConfigStore],
})
export class AppModule {}
