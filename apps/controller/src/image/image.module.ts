import { Module } from '@nestjs/common'
import { BlobStore } from './blob-store.js'
import { Collector } from './collector.js'
import { ImageDeployController } from './image-deploy.controller.js'
import { ImageDeployService } from './image-deploy.service.js'
import { ImageImport } from './image-import.js'
import { LayerFacts } from './layer-facts.js'
import { ManifestStore } from './manifest-store.js'
import { PublishedImages } from './published-images.js'
import { TeamAccess } from './registry-access.js'
import { RegistryCredentialController } from './registry-credential.controller.js'
import { RegistryCredentialService } from './registry-credential.service.js'
import { RegistryNodeRoutes } from './registry-node.routes.js'
import { RegistryPublicRoutes } from './registry-public.routes.js'
import { RegistryTrust } from './registry-trust.js'

/** Images, content-addressed: the truth of which every node keeps unpacked copies. */
@Module({
  providers: [
    BlobStore,
    ManifestStore,
    LayerFacts,
    RegistryTrust,
    PublishedImages,
    TeamAccess,
    RegistryCredentialService,
    ImageImport,
    ImageDeployService,
    Collector,
    RegistryNodeRoutes,
    RegistryPublicRoutes,
  ],
  controllers: [ImageDeployController, RegistryCredentialController],
  exports: [BlobStore, ImageImport, ManifestStore, PublishedImages],
})
export class ImageModule {}
