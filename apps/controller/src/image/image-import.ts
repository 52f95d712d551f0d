import { Inject, Injectable } from '@nestjs/common'
import { CroftError, isDigest, type Digest } from '@croft/kit'
import {
  ForeignRegistry,
  imageOf,
  mediaTypes,
  OciError,
  parseImageConfig,
  parseManifest,
  parseReference,
  type Descriptor,
  type Image,
  type ImageReference,
} from '@croft/oci'
import { z } from 'zod'
import type { App } from '../app/app.entity.js'
import { AppService } from '../app/app.service.js'
import type { Principal } from '../auth/principal.js'
import type { ControllerConfig } from '../config.js'
import { CONFIG } from '../tokens.js'
import { BlobStore } from './blob-store.js'
import { imageArchitecture } from './image-process.js'
import { LayerFacts } from './layer-facts.js'
import { ManifestStore, type StoredManifest } from './manifest-store.js'
import { TeamAccess } from './registry-access.js'
import { RegistryCredentialService } from './registry-credential.service.js'
import { RegistryTrust } from './registry-trust.js'

/** Largest image, compressed, bytes. */
const MAX_IMAGE_BYTES = 8 * 1024 ** 3

/** An image that could not be had; whatever served before serves on. */
export class ImageNotPulled extends CroftError {
  constructor(reference: string, cause: unknown) {
    const known = cause instanceof CroftError ? cause : undefined
    super({
      code: 'image-not-pulled',
      status: 422,
      title: `${reference.slice(0, 200)} was not pulled: ${known?.title ?? 'something went wrong'}`,
      ...(known?.detail !== undefined && { detail: known.detail }),
      suggestion:
        known?.suggestion ?? 'check the reference, and the credentials of its registry: croft registry:login HOST',
      cause,
    })
  }
}

export interface ImportedImage extends Image {
  digest: Digest
}

/** Brings an image of any registry, our own included, into an app's repository; every byte is checked on the way. */
@Injectable()
export class ImageImport {
  constructor(
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(BlobStore) private readonly blobs: BlobStore,
    @Inject(ManifestStore) private readonly manifests: ManifestStore,
    @Inject(LayerFacts) private readonly facts: LayerFacts,
    @Inject(TeamAccess) private readonly access: TeamAccess,
    @Inject(RegistryCredentialService) private readonly credentials: RegistryCredentialService,
    @Inject(RegistryTrust) private readonly trust: RegistryTrust,
  ) {}

  /** @throws ImageNotPulled */
  async import(
    principal: Pick<Principal, 'teamId'>,
    app: App,
    text: string,
    signal: AbortSignal,
  ): Promise<ImportedImage> {
    try {
      const reference = parseReference(text)
      const stored = isOwnHost(reference.host, this.config)
        ? await this.#fromOurs(principal, app, reference)
        : await this.#fromForeign(app, reference, signal)
      return await this.check(app.id, stored)
    } catch (error) {
      signal.throwIfAborted()
      throw new ImageNotPulled(text, error)
    }
  }

  /** The same of an image that was put into an app's repository, by its digest. @throws OciError */
  async ofApp(appId: string, digest: string): Promise<ImportedImage> {
    const stored = await this.manifests.find(appId, digest)
    if (stored === undefined) throw new OciError(`the image ${digest} is not here`)
    return this.check(appId, stored)
  }

  /** The documents of an image that lies in an app's repository, once all its layers are what it says. @throws OciError */
  async check(appId: string, stored: StoredManifest): Promise<ImportedImage> {
    const found = await this.#ofPlatform(appId, stored)
    const manifest = parseManifest(found.bytes)
    const image = imageOf(manifest, parseImageConfig(await this.blobs.bytes(manifest.config.digest)))
    await this.facts.check(image)
    return { ...image, digest: found.digest }
  }

  async #ofPlatform(appId: string, stored: StoredManifest): Promise<StoredManifest> {
    if (!isIndex(stored.mediaType)) return stored
    const found = await this.manifests.find(appId, chooseOf(stored.bytes).digest)
    if (found === undefined || isIndex(found.mediaType)) throw new OciError('the index names an image that is not here')
    return found
  }

  /** An image of an app of the same team: nothing is copied but its manifest. */
  async #fromOurs(principal: Pick<Principal, 'teamId'>, app: App, reference: ImageReference): Promise<StoredManifest> {
    const source = await this.apps.findInTeam(principal.teamId, reference.name)
    const repository = { id: source.id, name: source.name, isTrusted: false }
    const tagged = reference.tag === null ? undefined : await this.access.releaseTag(repository, reference.tag)
    const wanted = reference.digest ?? tagged ?? reference.tag ?? 'latest'
    const stored = await this.manifests.find(source.id, wanted)
    if (stored === undefined) throw new OciError(`${source.name} has no image ${wanted}`)
    const one = await this.#ofPlatform(source.id, stored)
    await this.manifests.put(app.id, one.digest, one, true)
    return one
  }

  async #fromForeign(app: App, reference: ImageReference, signal: AbortSignal): Promise<StoredManifest> {
    const here = reference.digest === null ? null : await this.#whole(app, reference.digest)
    if (here !== null) return here
    const credentials = await this.credentials.of(app.teamId, reference.host)
    const { certificates, proxies } = this.trust
    const registry = new ForeignRegistry(reference, credentials, undefined, { certificates, proxies })
    try {
      let found = await registry.manifest(reference.digest ?? reference.tag ?? 'latest', signal)
      if (isIndex(found.mediaType)) found = await registry.manifest(chooseOf(found.bytes).digest, signal)
      const { config, layers } = parseManifest(found.bytes)
      const bytes = [config, ...layers].reduce((sum, { size }) => sum + size, 0)
      if (bytes > MAX_IMAGE_BYTES) throw new OciError('the image is larger than 8 GiB')
      for (const blob of [config, ...layers]) await this.#fetch(app, registry, blob, signal)
      await this.manifests.put(app.id, found.digest, found)
      return found
    } finally {
      await registry.close()
    }
  }

  /** The image of a digest when all of it is in the app's repository: nobody is asked for it again. */
  async #whole(app: App, digest: Digest): Promise<StoredManifest | null> {
    const stored = await this.manifests.find(app.id, digest)
    if (stored === undefined || isIndex(stored.mediaType)) return null
    const { config, layers } = parseManifest(stored.bytes)
    for (const blob of [config, ...layers]) {
      if (!(await this.manifests.mayRead(app.id, blob.digest))) return null
      if ((await this.blobs.size(blob.digest)) === undefined) return null
    }
    return stored
  }

  /** Only what this app may read already is not fetched: knowing a digest is not having the layer. */
  async #fetch(app: App, registry: ForeignRegistry, blob: Descriptor, signal: AbortSignal): Promise<void> {
    if ((await this.manifests.mayRead(app.id, blob.digest)) && (await this.blobs.size(blob.digest)) !== undefined)
      return
    const id = await this.blobs.begin(app.id)
    await this.blobs.append(id, await registry.blob(blob, signal))
    await this.blobs.finish(id, blob.digest)
    await this.manifests.link(app.id, blob.digest)
  }
}

/** Whether a host of a reference is this platform. Pure. */
export function isOwnHost(host: string, config: Pick<ControllerConfig, 'domain' | 'publicUrl'>): boolean {
  const { port, protocol } = new URL(config.publicUrl)
  const usual = protocol === 'https:' ? '443' : '80'
  const own = port === '' ? usual : port
  return [config.domain, `registry.${config.domain}`].some(
    (name) => host === `${name}:${own}` || (own === usual && host === name),
  )
}

function isIndex(mediaType: string): boolean {
  return mediaType === mediaTypes.index || mediaType === mediaTypes.dockerIndex
}

const indexSchema = z.looseObject({
  manifests: z.array(
    z.looseObject({
      digest: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)),
      platform: z.looseObject({ os: z.string(), architecture: z.string() }).nullish(),
    }),
  ),
})

/** The image of an index for this machine. @throws OciError */
function chooseOf(bytes: Buffer): { digest: Digest } {
  const parsed = indexSchema.safeParse(JSON.parse(bytes.toString('utf8')))
  if (!parsed.success) throw new OciError('not an image index', z.prettifyError(parsed.error))
  const wanted = imageArchitecture(process.arch)
  const { manifests } = parsed.data
  const found = manifests.find(({ platform }) => platform?.os === 'linux' && platform.architecture === wanted)
  if (found !== undefined) return found
  const offered = manifests.map(({ platform }) => `${platform?.os ?? '?'}/${platform?.architecture ?? '?'}`)
  throw new OciError(`there is no image for linux/${wanted}`, `only for ${offered.slice(0, 20).join(', ')}`)
}
