import type { Readable } from 'node:stream'
import type { Digest } from '@croft/kit'
import { RegistryError } from './errors.js'
import { ForeignRegistry } from './foreign-registry.js'
import type { Descriptor } from './manifest.js'
import { one, type RegistryCredentials, type RegistryTimeouts } from './registry-session.js'
import type { Proxies } from './registry-agents.js'
import type { Certificates } from './registry-trust.js'
import { parseRegistryUrl } from './registry-url.js'

export interface ExternalRegistryOptions {
  /** As `parseRegistryUrl` reads it. */
  url: string
  credentials: RegistryCredentials | null
  /** The platform's own id: platforms that share a registry have a repository each. */
  homeId: string
  timeouts?: RegistryTimeouts
  /** See `SessionOptions`. */
  certificates?: Certificates | undefined
  proxies?: Proxies | undefined
}

/**
 * The registry a platform publishes its images in, all in one repository, which nobody but the platform needs to know: who may use
 * which image is decided at the platform's own `/v2/`. @throws RegistryError
 */
export class ExternalRegistry extends ForeignRegistry {
  constructor({ url, credentials, homeId, timeouts, certificates, proxies }: ExternalRegistryOptions) {
    // plain HTTP was judged when the platform was started
    const { origin, host, prefix } = parseRegistryUrl(url, true)
    const name = `${prefix}/${homeId.toLowerCase()}`
    super({ host, name }, credentials, timeouts, { origin, actions: 'pull,push,delete', certificates, proxies })
  }

  /** Host, port and repository, for people. */
  get address(): string {
    return `${this.session.host}/${this.session.name}`
  }

  /** Whether the registry answers, and lets us push: an upload is begun and given up. */
  async check(signal: AbortSignal): Promise<void> {
    const location = await this.#begin(signal)
    const gone = await this.session.send('DELETE', location, signal)
    await gone.body.dump() // not every registry takes an upload back; it forgets it by itself
  }

  /** The bytes of a blob that is there, or undefined. */
  async sizeOf(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    const path = `/v2/${this.session.name}/blobs/${digest}`
    const response = await this.session.send('HEAD', path, signal)
    if (response.statusCode !== 404) await this.session.expect(response, [200], path)
    await response.body.dump()
    if (response.statusCode === 404) return undefined
    return Number(one(response.headers['content-length']) ?? 0)
  }

  async hasManifest(digest: Digest, signal: AbortSignal): Promise<boolean> {
    const path = `/v2/${this.session.name}/manifests/${digest}`
    const response = await this.session.send('HEAD', path, signal, { headers: { accept: '*/*' } })
    if (response.statusCode !== 404) await this.session.expect(response, [200], path)
    await response.body.dump()
    return response.statusCode === 200
  }

  /** Uploads a blob in one piece; `open` gives its bytes. */
  async putBlob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    open: () => Buffer | Readable,
    signal: AbortSignal,
  ): Promise<void> {
    const location = await this.#begin(signal)
    const url = new URL(location, this.session.origin)
    url.searchParams.set('digest', descriptor.digest)
    const response = await this.session.send('PUT', url.href, signal, {
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(descriptor.size) },
      body: open,
    })
    await this.session.expect(response, [201], `blob ${descriptor.digest}`)
    await response.body.dump()
  }

  /** Stores a manifest under a tag: what has none is nothing to the clean-up of many registries. */
  async putManifest(manifest: { mediaType: string; bytes: Buffer }, tag: string, signal: AbortSignal): Promise<void> {
    const response = await this.session.send('PUT', `/v2/${this.session.name}/manifests/${tag}`, signal, {
      headers: { 'content-type': manifest.mediaType },
      body: () => manifest.bytes,
    })
    await this.session.expect(response, [201], `manifest ${tag}`)
    await response.body.dump()
  }

  /** Removes a manifest with its tags; false where it is not there, or where the registry does not delete. */
  async removeManifest(digest: Digest, signal: AbortSignal): Promise<boolean> {
    const path = `/v2/${this.session.name}/manifests/${digest}`
    const response = await this.session.send('DELETE', path, signal)
    await this.session.expect(response, [200, 202, 404, 405], path)
    await response.body.dump()
    return response.statusCode < 400
  }

  async #begin(signal: AbortSignal): Promise<string> {
    const path = `/v2/${this.session.name}/blobs/uploads/`
    const response = await this.session.send('POST', path, signal)
    await this.session.expect(response, [202], path)
    await response.body.dump()
    const location = one(response.headers['location'])
    if (location === undefined) throw new RegistryError(`${this.session.host} gave an upload no location`)
    return location
  }
}
