import { Module } from '@nestjs/common'
import { BuildModule } from '../build/build.module.js'
import { ImageModule } from '../image/image.module.js'
import { SbomController } from './sbom.controller.js'
import { StackController } from './stack.controller.js'

/** What apps are built on and stand on, and what that and their images consist of. */
@Module({ imports: [BuildModule, ImageModule], controllers: [SbomController, StackController] })
export class StackModule {}
