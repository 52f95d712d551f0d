import { Controller, Get, Inject, Param, Res } from '@nestjs/common'
import { CroftError, isDigest, type AppId } from '@croft/kit'
import { LIFECYCLE_LABEL, parseLifecycleLabel } from '@croft/lifecycle'
import {
  parseImageConfig,
  parseManifest,
  readEntries,
  readImageFiles,
  type Descriptor,
  type ImageConfig,
} from '@croft/oci'
import type { Bill } from '@croft/stacks'
import type { FastifyReply } from 'fastify'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { BuildService } from '../build/build.service.js'
import { clientGone } from '../http/client-gone.js'
import { BlobStore } from '../image/blob-store.js'
import { ManifestStore } from '../image/manifest-store.js'
import { ReleaseService } from '../release/release.service.js'
import { billOfImage, isBill } from './bill-of-image.js'
import { isUntold, packageFileWish, packagesOf, type SystemParts } from './packages-of-image.js'

const MEDIA_TYPE = 'application/vnd.cyclonedx+json; version=1.6'
const BILL_LIMITS = { bytes: 64 * 1024 ** 2, files: 200 }
/** A database of ten thousand packages has 20 MiB. */
const DATABASE_LIMITS = { bytes: 32 * 1024 ** 2, files: 10_000 }

/** There is no image that tells. */
export class NoImage extends CroftError {
  constructor(what: string, suggestion: string) {
    super({ code: 'no-image', status: 404, title: `${what}`, suggestion })
  }
}

/** Bills of materials (CycloneDX) of releases and of stacks, read from the labels of images, and from what buildpacks and package managers left in them. */
@Controller('api/v1')
export class SbomController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(ManifestStore) private readonly manifests: ManifestStore,
    @Inject(BlobStore) private readonly blobs: BlobStore,
  ) {}

  @Get('apps/:app/releases/:release/sbom')
  @Policy('app:read')
  async ofRelease(
    @Who() who: Principal,
    @Param('app') name: string,
    @Param('release') version: string,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const app = await this.apps.findInTeam(who.teamId, name)
    const release = await this.releases.find(app, version)
    if (release.image === null) {
      throw new NoImage(`v${release.version} of ${app.name} has no image`, `croft releases -a ${app.name} lists others`)
    }
    await reply
      .type(MEDIA_TYPE)
      .send(JSON.stringify(await this.#bill(app.id, app.name, release.image, false, clientGone(reply))))
  }

  /** Of the run image that apps on this stack were last built on. */
  @Get('stacks/:stack/sbom')
  @Policy('signed-in')
  async ofStack(@Param('stack') stack: string, @Res() reply: FastifyReply): Promise<void> {
    const build = await this.builds.newestOn(stack)
    if (build === null || build.image === null) {
      throw new NoImage(`nothing has been built on ${stack.slice(0, 40)} yet`, 'croft stack lists the stacks')
    }
    await reply
      .type(MEDIA_TYPE)
      .send(JSON.stringify(await this.#bill(build.appId, stack, build.image, true, clientGone(reply))))
  }

  async #bill(appId: AppId, name: string, image: string, isBaseOnly: boolean, gone: AbortSignal): Promise<Bill> {
    const stored = isDigest(image) ? await this.manifests.find(appId, image) : undefined
    if (stored === undefined) throw new NoImage(`the image of ${name} is not here any more`, 'push again')
    const { config, layers } = parseManifest(stored.bytes)
    const document = parseImageConfig(await this.blobs.bytes(config.digest))
    const digest = isBaseOnly ? (document.rootfs.diff_ids[0] ?? layers[0]?.digest ?? '') : image
    const written = isBaseOnly ? new Map<string, string>() : await this.#written(document, layers)
    const system = isUntold(document) ? { system: await this.#system(layers, gone) } : {}
    return billOfImage({ name, digest }, document, { written, isBaseOnly, ...system })
  }

  /** What the package managers of the image have noted in it. */
  async #system(layers: readonly Descriptor[], gone: AbortSignal): Promise<SystemParts> {
    const stored = layers.map(({ digest, mediaType, size }) => ({
      mediaType,
      bytes: size,
      open: () => this.blobs.read(digest),
    }))
    return packagesOf(await readImageFiles(stored, packageFileWish, DATABASE_LIMITS, gone))
  }

  /** The bills of materials that buildpacks left in the image, by their paths in it. */
  async #written({ config, rootfs }: ImageConfig, layers: readonly Descriptor[]): Promise<Map<string, string>> {
    const diffId = parseLifecycleLabel(config?.Labels?.[LIFECYCLE_LABEL])?.sbom?.sha
    const layer = layers[rootfs.diff_ids.findIndex((one) => one === diffId)]
    if (diffId === undefined || layer === undefined) return new Map()
    const files = await readEntries(this.blobs.read(layer.digest), layer.mediaType, isBill, BILL_LIMITS)
    return new Map([...files].map(([path, bytes]) => [path, bytes.toString('utf8')]))
  }
}
