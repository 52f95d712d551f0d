import type { Readable } from 'node:stream'
import type { Digest } from '@croft/kit'
import { digestOf, VerifyStream } from './digest.js'
import { RegistryError } from './errors.js'
import type { ImageReference } from './image-reference.js'
import type { Descriptor } from './manifest.js'
import { mediaTypes } from './media-types.js'
import {
  one,
  readDocument,
  RegistrySession,
  type RegistryCredentials,
  type RegistryTimeouts,
  type SessionOptions,
} from './registry-session.js'

const ACCEPT = [mediaTypes.index, mediaTypes.manifest, mediaTypes.dockerIndex, mediaTypes.dockerManifest].join(', ')

/** A registry of somebody else, asked for one repository: what it sends is checked against digests. @throws RegistryError */
export class ForeignRegistry {
  protected readonly session: RegistrySession

  constructor(
    reference: Pick<ImageReference, 'host' | 'name'>,
    credentials: RegistryCredentials | null,
    timeouts?: RegistryTimeouts,
    options: SessionOptions = {},
  ) {
    this.session = new RegistrySession(reference, credentials, {
      ...options,
      ...(timeouts !== undefined && { timeouts }),
    })
  }

  async close(): Promise<void> {
    await this.session.close()
  }

  /** A manifest or index by tag or digest, and what it is. */
  async manifest(
    reference: string,
    signal: AbortSignal,
  ): Promise<{ digest: Digest; mediaType: string; bytes: Buffer }> {
    const { session } = this
    const path = `/v2/${session.name}/manifests/${reference}`
    const response = await session.send('GET', path, signal, { headers: { accept: ACCEPT } })
    await session.expect(response, [200], path)
    const bytes = await readDocument(response.body).catch((error: unknown) => {
      throw session.stopped(error)
    })
    const digest = digestOf(bytes)
    if (reference.startsWith('sha256:') && digest !== reference) {
      throw new RegistryError(
        `${session.host} answered another manifest than ${reference}`,
        `it has the digest ${digest}`,
      )
    }
    return { digest, mediaType: one(response.headers['content-type'])?.split(';', 1)[0]?.trim() ?? '', bytes }
  }

  /** A blob's bytes; the stream fails at its end unless they match the descriptor. */
  async blob(descriptor: Pick<Descriptor, 'digest' | 'size'>, signal: AbortSignal): Promise<Readable> {
    const { session } = this
    const path = `/v2/${session.name}/blobs/${descriptor.digest}`
    const response = await session.send('GET', path, signal)
    await session.expect(response, [200], path)
    const verified = new VerifyStream({ digest: descriptor.digest, bytes: descriptor.size })
    response.body.on('error', (error) => verified.destroy(session.stopped(error)))
    verified.on('close', () => response.body.destroy())
    return response.body.pipe(verified)
  }

  async document(descriptor: Descriptor, signal: AbortSignal): Promise<Buffer> {
    return readDocument(await this.blob(descriptor, signal))
  }
}
