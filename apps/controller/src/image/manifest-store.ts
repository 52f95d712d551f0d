import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { Inject, Injectable } from '@nestjs/common'
import { errnoOf, isDigest, parseDigest, type Digest } from '@croft/kit'
import type { ControllerConfig } from '../config.js'
import { CONFIG } from '../tokens.js'
import { BlobStore, syncPath } from './blob-store.js'
import { DistributionError } from './errors.js'
import { checkManifest } from './manifest-check.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

export interface StoredManifest {
  digest: Digest
  mediaType: string
  bytes: Buffer
}

/** Which manifests an app has: a small file for each under `<home>/registry/apps/<app id>/`, naming the blob and its media type. */
@Injectable()
export class ManifestStore {
  readonly #root: string

  constructor(
    @Inject(CONFIG) config: ControllerConfig,
    @Inject(BlobStore) private readonly blobs: BlobStore,
  ) {
    this.#root = `${config.home}/registry/apps`
  }

  /** The manifest of a digest or tag, or undefined. */
  async find(appId: string, reference: string): Promise<StoredManifest | undefined> {
    const folder = this.#folderOf(appId)
    const digest = isDigest(reference) ? reference : await readWord(`${folder}/tags/${checkedTag(reference)}`)
    if (digest === undefined) return undefined
    const known = parseDigest(digest)
    const mediaType = await readWord(`${folder}/manifests/${known.slice('sha256:'.length)}`)
    if (mediaType === undefined) return undefined
    return { digest: known, mediaType, bytes: await this.blobs.bytes(known) }
  }

  /**
   * Stores a manifest whose blobs are all here, under its digest and the tag it was sent to.
   * @throws DistributionError MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID, TAG_INVALID
   */
  async put(appId: string, reference: string, mediaType: string, bytes: Buffer): Promise<Digest> {
    const folder = this.#folderOf(appId)
    const manifest = checkManifest(bytes, mediaType)
    for (const digest of manifest.blobs) {
      if ((await this.blobs.size(digest)) === undefined) {
        throw new DistributionError(400, 'MANIFEST_BLOB_UNKNOWN', `blob ${digest} is not here`)
      }
    }
    const tag = isDigest(reference) ? undefined : checkedTag(reference)
    const digest = await this.blobs.put(bytes)
    if (tag === undefined && digest !== reference) {
      throw new DistributionError(400, 'DIGEST_INVALID', `the manifest has the digest ${digest}`)
    }
    await writeWord(`${folder}/manifests`, digest.slice('sha256:'.length), manifest.mediaType)
    if (tag !== undefined) await writeWord(`${folder}/tags`, tag, digest)
    return digest
  }

  #folderOf(appId: string): string {
    if (!UUID.test(appId)) throw new DistributionError(404, 'NAME_UNKNOWN', 'there is no such repository')
    return `${this.#root}/${appId}`
  }
}

function checkedTag(tag: string): string {
  if (!TAG.test(tag)) throw new DistributionError(400, 'TAG_INVALID', 'this is neither a tag nor a sha256 digest')
  return tag
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
