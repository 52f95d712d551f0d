import { OciError } from './errors.js'

/** RFC 8878, 3.1: the magic numbers of a frame, and of one of 16 kinds that are skipped. */
const MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const CHECKSUM_BYTES = 4

/** What comes next of a frame: so many bytes, which matter or not; or its end. */
type Next = { kind: 'read' | 'skip'; bytes: number } | { kind: 'end' }

/** The grammar of a zstd stream, as far as it takes to know where frames end; answers to `read` are the bytes. */
function* frames(): Generator<Next, never, Buffer> {
  for (;;) {
    const magic = (yield { kind: 'read', bytes: 4 }).readUInt32LE()
    if ((magic & ~0xf) >>> 0 === SKIPPABLE_MAGIC) {
      const size = yield { kind: 'read', bytes: 4 }
      yield { kind: 'skip', bytes: size.readUInt32LE() }
    } else if (magic === MAGIC) {
      const descriptor = (yield { kind: 'read', bytes: 1 }).readUInt8()
      yield { kind: 'skip', bytes: headerBytes(descriptor) }
      for (let isLast = false; !isLast;) {
        const header = (yield { kind: 'read', bytes: 3 }).readUIntLE(0, 3)
        isLast = (header & 1) === 1
        yield { kind: 'skip', bytes: blockBytes(header) }
      }
      if ((descriptor & 0b100) !== 0) yield { kind: 'skip', bytes: CHECKSUM_BYTES }
    } else {
      throw new OciError('this is no zstd stream')
    }
    yield { kind: 'end' }
  }
}

/** Of the rest of a frame's header, by its descriptor: window, dictionary id, content size. */
function headerBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0b10_0000) !== 0
  const sizeOfSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  return (isSingleSegment ? 0 : 1) + ([0, 1, 2, 4][descriptor & 0b11] ?? 0) + sizeOfSize
}

/** Of a block behind its header: a block of one byte repeated holds that byte. */
function blockBytes(header: number): number {
  return ((header >> 1) & 0b11) === 1 ? 1 : header >> 3
}

/** Cuts a zstd stream behind each of its frames, however it arrives. Pure. */
export class FrameCutter {
  readonly #frames = frames()
  #next: Next
  /** What came of bytes that matter. */
  #read = Buffer.alloc(0)

  constructor() {
    this.#next = this.#frames.next().value
  }

  /** The chunk in pieces, none of which goes on behind the end of a frame. @throws OciError for what is no zstd stream */
  cut(chunk: Buffer): Buffer[] {
    const pieces: Buffer[] = []
    let from = 0
    let at = 0
    while (at < chunk.length) {
      if (this.#next.kind === 'end') throw new TypeError('the end of a frame is passed at once')
      const bytes = Math.min(chunk.length - at, this.#next.bytes)
      if (this.#next.kind === 'read') this.#read = Buffer.concat([this.#read, chunk.subarray(at, at + bytes)])
      at += bytes
      this.#next.bytes -= bytes
      if (this.#advance()) {
        pieces.push(chunk.subarray(from, at))
        from = at
      }
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from))
    return pieces
  }

  /** Goes on to the next part that has bytes; whether a frame ended on the way. */
  #advance(): boolean {
    let hasEnded = false
    while (this.#next.kind === 'end' || this.#next.bytes === 0) {
      if (this.#next.kind === 'end') hasEnded = true
      const read = this.#read
      this.#read = Buffer.alloc(0)
      this.#next = this.#frames.next(read).value
    }
    return hasEnded
  }
}
