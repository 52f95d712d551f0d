import type { Readable } from 'node:stream'
import type { Digest } from '@croft/kit'
import { NotInRegistry, type Descriptor, type ExternalRegistry, type RegistryClient } from '@croft/oci'

/** Where a node gets images from; the name of a repository is its app's id. */
export type ImageSource = Pick<RegistryClient, 'manifest' | 'document' | 'blob'>

/**
 * The registry a platform publishes its images in. What it does not have, the platform itself is asked for: images that builds stand on,
 * and those from before there was a registry. One that is down, or answers something else than was asked for, is an error.
 */
export class PublishedSource implements ImageSource {
  constructor(
    private readonly registry: Pick<ExternalRegistry, 'manifest' | 'document' | 'blob'>,
    private readonly own: ImageSource,
  ) {}

  manifest(appId: string, digest: string, signal?: AbortSignal): Promise<{ digest: Digest; bytes: Buffer } | null> {
    return orElse(
      () => this.registry.manifest(digest, signalOf(signal)),
      () => this.own.manifest(appId, digest, signal),
    )
  }

  document(appId: string, descriptor: Descriptor, signal?: AbortSignal): Promise<Buffer> {
    return orElse(
      () => this.registry.document(descriptor, signalOf(signal)),
      () => this.own.document(appId, descriptor, signal),
    )
  }

  blob(appId: string, descriptor: Descriptor, signal?: AbortSignal): Promise<Readable> {
    return orElse(
      () => this.registry.blob(descriptor, signalOf(signal)),
      () => this.own.blob(appId, descriptor, signal),
    )
  }
}

async function orElse<T>(ask: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof NotInRegistry)) throw error
  }
  return otherwise()
}

/** The registry's own deadlines hold in any case. */
const signalOf = (signal: AbortSignal | undefined): AbortSignal => signal ?? new AbortController().signal
