import { Global, Module } from '@nestjs/common'
import type { DataSource } from 'typeorm'
import { DATA_SOURCE } from '../tokens.js'
import { databaseEpoch } from './epoch.js'
import { Signals } from './signals.js'

/** Injection token of the database's epoch, a string. */
export const EPOCH = Symbol('EPOCH')

/** Notifications and the identity of the database, for everybody. */
@Global()
@Module({
  providers: [
    Signals,
    { provide: EPOCH, inject: [DATA_SOURCE], useFactory: (dataSource: DataSource) => databaseEpoch(dataSource) },
  ],
  exports: [Signals, EPOCH],
})
export class SignalsModule {}
