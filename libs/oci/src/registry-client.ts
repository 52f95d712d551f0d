import { Readable } from 'node:stream'
import { Agent, request, type Dispatcher } from 'undici'
import { backoffMs, isDigest, messageOf, systemClock, type Clock, type Digest } from '@croft/kit'
import { digestOf, VerifyStream } from './digest.js'
import { RegistryError, RegistryUnreachable } from './errors.js'
import type { Descriptor } from './manifest.js'
import { mediaTypes } from './media-types.js'

export interface RegistryAddress {
  /** A unix socket; then `origin` is only the Host header. */
  socketPath?: string
  /** e.g. `http://localhost`. */
  origin: string
}

interface RequestOptions {
  signal: AbortSignal | undefined
  timeoutMs: number
  headers?: Record<string, string>
  body?: () => Buffer | Readable
}

const HEAD_TIMEOUT_MS = 10_000
const TRANSFER_TIMEOUT_MS = 300_000
/** Blobs up to this size go with the request that begins their upload. */
const AT_ONCE_BYTES = 1024 * 1024
const DOCUMENT_LIMIT_BYTES = 4 * 1024 * 1024
/** A registry that restarts is waited for: about 20 s in all. */
const RETRY = { baseMs: 100, maxMs: 4_000, jitter: 0.2 }
const TRIES = 10

/**
 * One registry's distribution endpoints: blobs and manifests of named repositories. Every call has a deadline and is repeated
 * while the registry cannot be reached or answers 5xx; all of them are idempotent. @throws RegistryError
 */
export class RegistryClient {
  readonly #origin: string
  readonly #agent: Agent
  readonly #clock: Clock

  constructor(address: RegistryAddress, clock: Clock = systemClock) {
    this.#origin = address.origin
    this.#clock = clock
    this.#agent = new Agent({
      ...(address.socketPath !== undefined && { connect: { socketPath: address.socketPath } }),
      connections: 4,
    })
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }

  async hasBlob(name: string, digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const response = await this.#send('HEAD', `/v2/${name}/blobs/${digest}`, { signal, timeoutMs: HEAD_TIMEOUT_MS })
    await response.body.dump()
    if (response.statusCode === 200) return true
    if (response.statusCode === 404) return false
    throw new RegistryError(`the registry answered ${response.statusCode} for blob ${digest}`)
  }

  /** The blob's bytes; the stream fails at its end unless they match the descriptor. */
  async blob(name: string, descriptor: Descriptor, signal?: AbortSignal): Promise<Readable> {
    const response = await this.#send('GET', `/v2/${name}/blobs/${descriptor.digest}`, {
      signal,
      timeoutMs: TRANSFER_TIMEOUT_MS,
    })
    await this.#expect(response, 200, `blob ${descriptor.digest}`)
    const verified = new VerifyStream({ digest: descriptor.digest, bytes: descriptor.size })
    response.body.on('error', (error) => verified.destroy(error))
    verified.on('close', () => response.body.destroy())
    return response.body.pipe(verified)
  }

  /** Uploads a blob in one piece; `open` gives its bytes anew for every try, and every try begins a new upload. */
  async putBlob(
    name: string,
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    open: () => Buffer | Readable,
    signal?: AbortSignal,
  ): Promise<void> {
    const what = `blob ${descriptor.digest}`
    const octets = { 'content-type': 'application/octet-stream', 'content-length': String(descriptor.size) }
    const isSmall = descriptor.size <= AT_ONCE_BYTES
    const atOnce = { headers: octets, body: open }
    const response = await this.#persist(`PUT ${what}`, signal, async () => {
      const begun = await this.#once(
        'POST',
        `/v2/${name}/blobs/uploads/${isSmall ? `?digest=${descriptor.digest}` : ''}`,
        { signal, timeoutMs: HEAD_TIMEOUT_MS, ...(isSmall && atOnce) },
      )
      // a registry that takes no blob with the first request begins an upload all the same
      if (begun.statusCode >= 500 || (isSmall && begun.statusCode === 201)) return begun
      await this.#expect(begun, 202, 'an upload')
      await begun.body.dump()
      const { location } = begun.headers
      if (typeof location !== 'string') throw new RegistryError('the registry gave an upload no location')
      const url = new URL(location, this.#origin)
      url.searchParams.set('digest', descriptor.digest)
      return this.#once('PUT', url.pathname + url.search, {
        signal,
        timeoutMs: TRANSFER_TIMEOUT_MS,
        ...atOnce,
      })
    })
    await this.#expect(response, 201, what)
    await response.body.dump()
  }

  /** The manifest of a tag or digest as it is stored, or null when there is none. */
  async manifest(
    name: string,
    reference: string,
    signal?: AbortSignal,
  ): Promise<{ digest: Digest; bytes: Buffer } | null> {
    const response = await this.#send('GET', `/v2/${name}/manifests/${checked(reference)}`, {
      signal,
      timeoutMs: HEAD_TIMEOUT_MS,
      headers: { accept: `${mediaTypes.manifest}, ${mediaTypes.dockerManifest}` },
    })
    if (response.statusCode === 404) {
      await response.body.dump()
      return null
    }
    await this.#expect(response, 200, `manifest ${reference}`)
    const bytes = await readAll(response.body, DOCUMENT_LIMIT_BYTES)
    const digest = digestOf(bytes)
    if (reference.startsWith('sha256:') && digest !== reference) {
      throw new RegistryError('the registry answered with another manifest', `asked for ${reference}, got ${digest}`)
    }
    return { digest, bytes }
  }

  /** A small blob (an image configuration) in memory. */
  async document(name: string, descriptor: Descriptor, signal?: AbortSignal): Promise<Buffer> {
    return readAll(await this.blob(name, descriptor, signal), DOCUMENT_LIMIT_BYTES)
  }

  async putManifest(name: string, reference: string, bytes: Buffer, signal?: AbortSignal): Promise<void> {
    const response = await this.#send('PUT', `/v2/${name}/manifests/${checked(reference)}`, {
      signal,
      timeoutMs: HEAD_TIMEOUT_MS,
      headers: { 'content-type': mediaTypes.manifest },
      body: () => bytes,
    })
    await this.#expect(response, 201, `manifest ${reference}`)
    await response.body.dump()
  }

  async #expect(response: Dispatcher.ResponseData, status: number, what: string): Promise<void> {
    if (response.statusCode === status) return
    const text = (await readAll(response.body, 64 * 1024).catch(() => Buffer.alloc(0))).toString().slice(0, 500)
    throw new RegistryError(`the registry answered ${response.statusCode} for ${what}`, text)
  }

  /** One request, again and again while the registry cannot be reached or answers 5xx. */
  #send(method: Dispatcher.HttpMethod, path: string, options: RequestOptions): Promise<Dispatcher.ResponseData> {
    return this.#persist(`${method} ${path}`, options.signal, () => this.#once(method, path, options))
  }

  #once(method: Dispatcher.HttpMethod, path: string, options: RequestOptions): Promise<Dispatcher.ResponseData> {
    return request(this.#origin + path, {
      method,
      dispatcher: this.#agent,
      headersTimeout: options.timeoutMs,
      bodyTimeout: options.timeoutMs,
      ...(options.signal !== undefined && { signal: options.signal }),
      ...(options.headers !== undefined && { headers: options.headers }),
      ...(options.body !== undefined && { body: options.body() }),
    })
  }

  async #persist(
    what: string,
    signal: AbortSignal | undefined,
    attempt: () => Promise<Dispatcher.ResponseData>,
  ): Promise<Dispatcher.ResponseData> {
    let why = ''
    let cause: unknown
    for (let failures = 0; failures < TRIES; failures += 1) {
      signal?.throwIfAborted()
      if (failures > 0) await this.#clock.sleep(backoffMs(failures - 1, RETRY, Math.random()), signal)
      try {
        const response = await attempt()
        if (response.statusCode < 500) return response
        why = `it answered ${response.statusCode}`
        await response.body.dump()
      } catch (error) {
        signal?.throwIfAborted()
        if (error instanceof RegistryError) throw error
        why = messageOf(error)
        cause = error
      }
    }
    throw new RegistryUnreachable('the registry cannot be reached', `${what}: ${why}`, cause)
  }
}

/** A tag or a digest, as it stands in a path. */
function checked(reference: string): string {
  if (isDigest(reference) || /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(reference)) return reference
  throw new RegistryError(`not a tag or digest: ${reference.slice(0, 80)}`)
}

async function readAll(stream: Readable, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > limitBytes) throw new RegistryError(`the registry answered more than ${limitBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
