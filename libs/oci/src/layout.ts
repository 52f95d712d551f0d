import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { digestOf, hexOf } from './digest.js'
import { OciError } from './errors.js'
import { descriptorSchema, imageOf, parseImageConfig, parseManifest, type Descriptor, type Image } from './manifest.js'
import { mediaTypes } from './media-types.js'
import { readBlob } from './read-blob.js'

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
const REF_NAME = 'org.opencontainers.image.ref.name'
/** Documents are read into memory. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
/** An index may name indexes; deeper than this it is a game. */
const MAX_DEPTH = 3

const entrySchema = descriptorSchema.extend({
  annotations: z.record(z.string(), z.string()).nullish(),
  platform: z.looseObject({ architecture: z.string(), os: z.string() }).nullish(),
})
type IndexEntry = z.infer<typeof entrySchema>
const indexSchema = z.looseObject({ manifests: z.array(entrySchema) })

/** The image of a layout: its two documents, and the digest of its manifest. */
export interface LayoutImage extends Image {
  digest: Descriptor['digest']
}

/**
 * A folder in the OCI image layout: `index.json` and `blobs/sha256/…`. Documents are checked against their digests; whoever
 * reads a layer checks its own.
 */
export class ImageLayout {
  constructor(readonly folder: string) {}

  /**
   * The image of a name (`org.opencontainers.image.ref.name`), or the only one there is, for an architecture (`amd64`).
   * @throws OciError
   */
  async image(architecture: string, name?: string): Promise<LayoutImage> {
    const index = parseIndex(await this.#read(join(this.folder, 'index.json')))
    const named = name === undefined ? index : index.filter((entry) => entry.annotations?.[REF_NAME] === name)
    const found = await this.#choose(named, architecture, 1)
    const manifest = parseManifest(withMediaType(await this.#document(found)))
    const config = parseImageConfig(await this.#document(manifest.config))
    return { ...imageOf(manifest, config), digest: found.digest }
  }

  /** The bytes of a blob, compressed as they lie there. */
  open(descriptor: Descriptor): Readable {
    return readBlob(this.#path(descriptor))
  }

  async #choose(entries: readonly IndexEntry[], architecture: string, depth: number): Promise<Descriptor> {
    const fitting = entries.filter(({ platform }) => platform?.architecture === architecture && platform.os === 'linux')
    const candidates = fitting.length > 0 ? fitting : entries.filter(({ platform }) => (platform ?? null) === null)
    const [only, another] = candidates
    if (only === undefined) throw new OciError(`the layout ${this.folder} has no such image for linux/${architecture}`)
    if (another !== undefined)
      throw new OciError(`the layout ${this.folder} has several such images`, 'name one of them')
    if (only.mediaType !== INDEX_TYPE) return only
    if (depth === MAX_DEPTH) throw new OciError(`the layout ${this.folder} has indexes in indexes in indexes`)
    return await this.#choose(parseIndex(await this.#document(only)), architecture, depth + 1)
  }

  async #document(descriptor: Descriptor): Promise<Buffer> {
    const bytes = await this.#read(this.#path(descriptor))
    const actual = digestOf(bytes)
    if (actual !== descriptor.digest) {
      throw new OciError('content does not match its digest', `expected ${descriptor.digest}, got ${actual}`)
    }
    return bytes
  }
  #path(descriptor: Descriptor): string {
    return join(this.folder, 'blobs/sha256', hexOf(descriptor.digest))
  }
  async #read(path: string): Promise<Buffer> {
    try {
      if ((await stat(path)).size > MAX_DOCUMENT_BYTES) throw new OciError(`${path} is too large to be a document`)
      return await readFile(path)
    } catch (error) {
      if (error instanceof OciError) throw error
      throw new OciError(`${path} cannot be read`, error instanceof Error ? error.message : String(error), error)
    }
  }
}

function parseIndex(bytes: Buffer): IndexEntry[] {
  try {
    return indexSchema.parse(JSON.parse(bytes.toString())).manifests
  } catch (error) {
    throw new OciError('not an image index', error instanceof z.ZodError ? z.prettifyError(error) : 'not JSON', error)
  }
}

/** Some writers leave a manifest's own media type out, which the descriptor then says. */
function withMediaType(bytes: Buffer): Buffer {
  try {
    const json = JSON.parse(bytes.toString()) as Record<string, unknown>
    return 'mediaType' in json ? bytes : Buffer.from(JSON.stringify({ ...json, mediaType: mediaTypes.manifest }))
  } catch {
    return bytes // whoever parses it says so
  }
}
