import { randomUUID } from 'node:crypto'
import { unlinkSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { errnoOf, isDigest, parseDigest, type Digest } from '@croft/kit'
import type { ControllerConfig } from '../config.js'
import { CONFIG } from '../tokens.js'
import { BlobStore, syncPath } from './blob-store.js'
import { DistributionError } from './errors.js'
import { checkManifest, type CheckedManifest } from './manifest-check.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const HEX = /^[a-f0-9]{64}$/

export interface StoredManifest {
  digest: Digest
  mediaType: string
  bytes: Buffer
}

export interface StoredTag {
  digest: Digest
  writtenAt: Date
}

/**
 * What an app's repository holds: small files below `<home>/registry/apps/<app id>/`. `manifests/<hex>` has the media type of the
 * blob of that digest, `tags/<tag>` a digest, and `blobs/<hex>` says that the app may read that blob: it was uploaded to it, mounted
 * into it, or belongs to an image of it.
 */
@Injectable()
export class ManifestStore implements OnModuleInit {
  readonly #root: string

  constructor(
    @Inject(CONFIG) config: ControllerConfig,
    @Inject(BlobStore) private readonly blobs: BlobStore,
  ) {
    this.#root = `${config.home}/registry/apps`
  }

  /** An image may read its own blobs, also one from before it was written down which ones those are. */
  async onModuleInit(): Promise<void> {
    for (const appId of await this.apps()) {
      if ((await namesIn(`${this.#folderOf(appId)}/blobs`)).length > 0) continue
      for (const { digest } of await this.list(appId)) {
        const { bytes, mediaType } = await this.peek(appId, digest)
        for (const blob of checkManifest(bytes, mediaType).blobs) await this.link(appId, blob)
      }
    }
  }

  /** The manifest of a digest or stored tag, or undefined. */
  async find(appId: string, reference: string): Promise<StoredManifest | undefined> {
    const folder = this.#folderOf(appId)
    const digest = isDigest(reference) ? reference : (await this.tag(appId, reference))?.digest
    if (digest === undefined) return undefined
    const known = parseDigest(digest)
    this.blobs.use(known)
    const mediaType = await readWord(`${folder}/manifests/${hexOf(known)}`)
    if (mediaType === undefined) return undefined
    return { digest: known, mediaType, bytes: await this.blobs.bytes(known) }
  }

  /** A tag somebody pushed. @throws DistributionError TAG_INVALID */
  async tag(appId: string, tag: string): Promise<StoredTag | undefined> {
    const path = `${this.#folderOf(appId)}/tags/${checkedTag(tag)}`
    const digest = await readWord(path)
    return digest === undefined ? undefined : { digest: parseDigest(digest), writtenAt: (await stat(path)).mtime }
  }

  /** Names of the stored tags. */
  async tags(appId: string): Promise<string[]> {
    return (await namesIn(`${this.#folderOf(appId)}/tags`)).filter((name) => TAG.test(name))
  }

  /**
   * Stores a manifest whose blobs are all here, under its digest and the tag it was sent to. `isTrusted`: the blobs need not be
   * the repository's yet, as those of an executor, which shares layers between apps.
   * @throws DistributionError MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID, TAG_INVALID
   */
  async put(
    appId: string,
    reference: string,
    content: { mediaType: string; bytes: Buffer },
    isTrusted = false,
  ): Promise<{ digest: Digest; manifest: CheckedManifest }> {
    const folder = this.#folderOf(appId)
    const manifest = checkManifest(content.bytes, content.mediaType)
    await this.#requireParts(appId, manifest, isTrusted)
    const tag = isDigest(reference) ? undefined : checkedTag(reference)
    const digest = await this.blobs.put(content.bytes)
    if (tag === undefined && digest !== reference) {
      throw new DistributionError(400, 'DIGEST_INVALID', `the manifest has the digest ${digest}`)
    }
    for (const blob of manifest.blobs) await this.link(appId, blob)
    await writeWord(`${folder}/manifests`, hexOf(digest), manifest.mediaType)
    if (manifest.subject !== null)
      await writeWord(`${folder}/referrers/${hexOf(manifest.subject)}`, hexOf(digest), digest)
    if (tag !== undefined) await writeWord(`${folder}/tags`, tag, digest)
    return { digest, manifest }
  }

  /** Manifests of the repository that say they are about this digest. */
  async referrers(appId: string, subject: Digest): Promise<StoredManifest[]> {
    const names = await namesIn(`${this.#folderOf(appId)}/referrers/${hexOf(subject)}`)
    const found = await Promise.all(
      names.filter((name) => HEX.test(name)).map((name) => this.find(appId, `sha256:${name}`)),
    )
    return found.filter((manifest) => manifest !== undefined)
  }

  /** Removes a tag; whether there was one. */
  async untag(appId: string, tag: string): Promise<boolean> {
    return remove(`${this.#folderOf(appId)}/tags/${checkedTag(tag)}`)
  }

  /** Removes a manifest and the tags that name it; whether there was one. Its blob is collected later. */
  async remove(appId: string, digest: Digest): Promise<boolean> {
    const folder = this.#folderOf(appId)
    const stored = await this.find(appId, digest)
    if (stored === undefined) return false
    for (const tag of await this.tags(appId)) {
      if ((await this.tag(appId, tag))?.digest === digest) await this.untag(appId, tag)
    }
    const { subject } = checkManifest(stored.bytes, stored.mediaType)
    if (subject !== null) await remove(`${folder}/referrers/${hexOf(subject)}/${hexOf(digest)}`)
    return remove(`${folder}/manifests/${hexOf(digest)}`)
  }

  /** Digests of every manifest of the repository, with when it was written. */
  async list(appId: string): Promise<{ digest: Digest; writtenAt: Date }[]> {
    const folder = `${this.#folderOf(appId)}/manifests`
    const names = (await namesIn(folder)).filter((name) => HEX.test(name))
    return Promise.all(
      names.map(async (name) => ({
        digest: parseDigest(`sha256:${name}`),
        writtenAt: (await stat(`${folder}/${name}`)).mtime,
      })),
    )
  }

  /** A manifest that is listed, without keeping it from being collected. */
  async peek(appId: string, digest: Digest): Promise<{ mediaType: string; bytes: Buffer }> {
    const mediaType = (await readWord(`${this.#folderOf(appId)}/manifests/${hexOf(digest)}`)) ?? ''
    return { mediaType, bytes: await this.blobs.bytes(digest) }
  }

  /** Removes a manifest unless it was asked for within the grace time; whether it did. */
  async collect(appId: string, digest: Digest, graceMs: number): Promise<boolean> {
    const folder = this.#folderOf(appId)
    const { bytes, mediaType } = await this.peek(appId, digest)
    const { subject } = checkManifest(bytes, mediaType)
    if (this.blobs.isUsedWithin(digest, graceMs)) return false
    unlinkSync(`${folder}/manifests/${hexOf(digest)}`)
    if (subject !== null) await remove(`${folder}/referrers/${hexOf(subject)}/${hexOf(digest)}`)
    return true
  }

  /** Forgets that the app may read blobs that none of its manifests needs, unless that is young. */
  async collectLinks(appId: string, needed: ReadonlySet<Digest>, graceMs: number): Promise<void> {
    const folder = `${this.#folderOf(appId)}/blobs`
    for (const hex of await namesIn(folder)) {
      const digest = `sha256:${hex}`
      if (!isDigest(digest) || needed.has(digest)) continue
      const { mtimeMs } = await stat(`${folder}/${hex}`)
      if (this.blobs.ageOf(mtimeMs) < graceMs || this.blobs.isUsedWithin(digest, graceMs)) continue
      await remove(`${folder}/${hex}`)
    }
  }

  /** Ids of the apps that have something here. */
  async apps(): Promise<string[]> {
    return (await namesIn(this.#root)).filter((name) => UUID.test(name))
  }

  /** Whether the app may read a blob that is here. */
  async mayRead(appId: string, digest: Digest): Promise<boolean> {
    this.blobs.use(digest)
    return (await readWord(`${this.#folderOf(appId)}/blobs/${hexOf(digest)}`)) !== undefined
  }

  /** Lets the app read a blob. */
  async link(appId: string, digest: Digest): Promise<void> {
    if (await this.mayRead(appId, digest)) return
    await writeWord(`${this.#folderOf(appId)}/blobs`, hexOf(digest), digest)
  }

  /** Takes that back; whether it could. */
  async unlink(appId: string, digest: Digest): Promise<boolean> {
    return remove(`${this.#folderOf(appId)}/blobs/${hexOf(digest)}`)
  }

  async #requireParts(appId: string, manifest: CheckedManifest, isTrusted: boolean): Promise<void> {
    for (const digest of manifest.blobs) {
      const isHere = (await this.blobs.size(digest)) !== undefined
      if (!isHere || !(isTrusted || (await this.mayRead(appId, digest)))) {
        throw new DistributionError(400, 'MANIFEST_BLOB_UNKNOWN', `blob ${digest} is not here`)
      }
    }
    for (const digest of manifest.manifests) {
      if ((await this.find(appId, digest)) === undefined) {
        throw new DistributionError(400, 'MANIFEST_BLOB_UNKNOWN', `manifest ${digest} is not here`)
      }
    }
  }

  #folderOf(appId: string): string {
    if (!UUID.test(appId)) throw new DistributionError(404, 'NAME_UNKNOWN', 'there is no such repository')
    return `${this.#root}/${appId}`
  }
}

const hexOf = (digest: Digest): string => parseDigest(digest).slice('sha256:'.length)

function checkedTag(tag: string): string {
  if (!TAG.test(tag)) throw new DistributionError(400, 'TAG_INVALID', 'this is neither a tag nor a sha256 digest')
  return tag
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).toSorted()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

async function remove(path: string): Promise<boolean> {
  try {
    await rm(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

async function readWord(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function writeWord(folder: string, name: string, word: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const temporary = `${folder}/.${randomUUID()}`
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(`${word}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, `${folder}/${name}`)
  await syncPath(folder)
}
