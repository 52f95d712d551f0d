import { Transform, type TransformCallback } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import { FrameCutter } from './frame-cutter.js'

/**
 * Decompresses zstd of any number of frames, as tools write that let single files of a layer be fetched. Node's own ends with the first
 * one when another begins in the same chunk.
 */
export class ZstdFrames extends Transform {
  readonly #zstd = createZstdDecompress()
  readonly #cutter = new FrameCutter()

  constructor() {
    super()
    this.#zstd.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) this.#zstd.pause()
    })
    this.#zstd.on('error', (error) => this.destroy(error))
  }

  override _read(bytes: number): void {
    this.#zstd.resume()
    super._read(bytes)
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let pieces: Buffer[]
    try {
      pieces = this.#cutter.cut(chunk)
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
      return
    }
    const write = (): void => {
      const piece = pieces.shift()
      if (piece === undefined) done()
      else this.#zstd.write(piece, (error) => (error ? done(error) : write()))
    }
    write()
  }

  override _flush(done: TransformCallback): void {
    this.#zstd.once('end', () => done())
    this.#zstd.end()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#zstd.destroy()
    done(error)
  }
}
