import { Module } from '@nestjs/common'
import { LogController } from './log.controller.js'
import { LogStreams } from './log-streams.js'
import { LogService } from './log.service.js'

/** Logs are read from the nodes that keep them. */
@Module({ providers: [LogStreams, LogService], controllers: [LogController], exports: [LogStreams] })
export class LogModule {}
