import { Module } from '@nestjs/common'
import { BuildModule } from '../build/build.module.js'
import { StackController } from './stack.controller.js'

/** What apps are built on and stand on. */
@Module({ imports: [BuildModule], controllers: [StackController] })
export class StackModule {}
