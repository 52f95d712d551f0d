import { Module } from '@nestjs/common'
import { ControlLoop } from './control-loop.js'
import { Reconciler } from './reconciler.js'

/** Slots are kept placed. */
@Module({ providers: [Reconciler, ControlLoop] })
export class ScheduleModule {}
