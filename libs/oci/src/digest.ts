import { createHash, type Hash } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'
import { parseDigest, type Digest } from '@croft/kit'
import { OciError } from './errors.js'

/** The sha256 digest of bytes in memory. */
export function digestOf(content: string | Uint8Array): Digest {
  return parseDigest(`sha256:${createHash('sha256').update(content).digest('hex')}`)
}

/** The digest of everything a stream gives. */
export async function digestOfStream(stream: AsyncIterable<Uint8Array>): Promise<Digest> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk)
  return parseDigest(`sha256:${hash.digest('hex')}`)
}

/** The 64 hex digits of a digest: what files and folders are named by. */
export function hexOf(digest: Digest): string {
  return parseDigest(digest).slice('sha256:'.length)
}

/** Passes bytes on and knows their digest and number once they have ended. */
export class DigestStream extends Transform {
  readonly #hash: Hash = createHash('sha256')
  #bytes = 0
  #digest: Digest | undefined

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(chunk)
    this.#bytes += chunk.length
    done(null, chunk)
  }
  override _flush(done: TransformCallback): void {
    this.#digest = parseDigest(`sha256:${this.#hash.digest('hex')}`)
    done()
  }
  get bytes(): number {
    return this.#bytes
  }
  /** @throws OciError before the stream has ended */
  get digest(): Digest {
    if (this.#digest === undefined) throw new OciError('a digest was asked for before the stream ended')
    return this.#digest
  }
}

/** Passes bytes on and fails at the end, or as soon as there are too many, unless they are the ones expected. */
export class VerifyStream extends Transform {
  readonly #hash: Hash = createHash('sha256')
  readonly #expected: { digest: Digest; bytes?: number }
  #bytes = 0

  constructor(expected: { digest: Digest; bytes?: number }) {
    super()
    this.#expected = expected
  }
  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(chunk)
    this.#bytes += chunk.length
    const { bytes, digest } = this.#expected
    if (bytes !== undefined && this.#bytes > bytes) return done(new OciError(`${digest} is longer than ${bytes} bytes`))
    done(null, chunk)
  }
  override _flush(done: TransformCallback): void {
    const { bytes, digest } = this.#expected
    const actual = `sha256:${this.#hash.digest('hex')}`
    if (bytes !== undefined && this.#bytes !== bytes)
      return done(new OciError(`${digest} has ${this.#bytes} bytes, not ${bytes}`))
    if (actual !== digest)
      return done(new OciError('content does not match its digest', `expected ${digest}, got ${actual}`))
    done()
  }
}
