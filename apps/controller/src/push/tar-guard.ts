import { Transform, type TransformCallback } from 'node:stream'

/** Names and attributes that come as entries of their own: a reader keeps them in memory, bytes. */
const MAX_HEADER_BYTES = 64 * 1024
const BLOCK = 512

/** A tar that is not read any further. */
export class TarRefused extends Error {
  override readonly name = 'TarRefused'
}

/**
 * Passes a tar on and ends it when it is larger than `maxBytes`, or when one of the headers that a reader keeps in memory is.
 * @throws TarRefused
 */
export class TarGuard extends Transform {
  #bytes = 0
  /** Of the present entry, with what fills its last block. */
  #left = 0
  #header: Buffer = Buffer.alloc(0)

  constructor(private readonly maxBytes: number) {
    super()
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#bytes += chunk.length
      if (this.#bytes > this.maxBytes) throw new TarRefused(`it is larger than ${Math.floor(this.maxBytes / 1e6)} MB`)
      this.#look(chunk)
      done(null, chunk)
    } catch (error) {
      done(error as Error)
    }
  }

  #look(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - at)
        this.#left -= skipped
        at += skipped
        continue
      }
      const more = chunk.subarray(at, at + BLOCK - this.#header.length)
      this.#header = Buffer.concat([this.#header, more])
      at += more.length
      if (this.#header.length < BLOCK) return
      const size = sizeOf(this.#header)
      if (isKept(this.#header) && size > MAX_HEADER_BYTES) throw new TarRefused('a header of it is too large')
      this.#left = Math.ceil(size / BLOCK) * BLOCK
      this.#header = Buffer.alloc(0)
    }
  }
}

/** Extended headers of POSIX (`x`, `g`) and long names of GNU (`L`, `K`). */
function isKept(header: Buffer): boolean {
  return 'xgLK'.includes(String.fromCharCode(header[156] ?? 0))
}

/** The size an entry's header says, in octal digits; larger numbers, which tar writes otherwise, are over every limit of ours. */
function sizeOf(header: Buffer): number {
  const text = header.toString('latin1', 124, 136).replace(/[\0 ].*$/s, '')
  if (text === '') return 0
  if (!/^[0-7]+$/.test(text)) throw new TarRefused('it is no tar')
  return Number.parseInt(text, 8)
}
