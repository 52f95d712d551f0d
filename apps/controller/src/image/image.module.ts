import { Module } from '@nestjs/common'
import { BlobStore } from './blob-store.js'
import { ManifestStore } from './manifest-store.js'
import { RegistryNodeRoutes } from './registry-node.routes.js'

/** Images, content-addressed: the truth of which every node keeps unpacked copies. */
@Module({ providers: [BlobStore, ManifestStore, RegistryNodeRoutes], exports: [BlobStore, ManifestStore] })
export class ImageModule {}
