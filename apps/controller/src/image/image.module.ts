import { Module } from '@nestjs/common'
import { BlobStore } from './blob-store.js'
import { ManifestStore } from './manifest-store.js'
import { TeamAccess } from './registry-access.js'
import { RegistryNodeRoutes } from './registry-node.routes.js'
import { RegistryPublicRoutes } from './registry-public.routes.js'

/** Images, content-addressed: the truth of which every node keeps unpacked copies. */
@Module({
  providers: [BlobStore, ManifestStore, TeamAccess, RegistryNodeRoutes, RegistryPublicRoutes],
  exports: [BlobStore, ManifestStore],
})
export class ImageModule {}
