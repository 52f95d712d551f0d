/** git's pkt-line framing: four hex digits of length, then the bytes; 0000 is a flush. Pure. */

/** Longest payload of one packet. */
export const MAX_PAYLOAD_BYTES = 65_516
/** Longest text of one side-band packet: one byte of it names the band. */
export const MAX_BAND_BYTES = MAX_PAYLOAD_BYTES - 1

export const FLUSH = Buffer.from('0000')

export type Packet = { kind: 'data'; payload: Buffer } | { kind: 'flush' }

/** Not pkt-line framing. */
export class MalformedPacket extends RangeError {
  constructor(header: string) {
    super(`malformed packet length ${JSON.stringify(header)}`)
    this.name = 'MalformedPacket'
  }
}

/** One packet of up to MAX_PAYLOAD_BYTES. */
export function encodePacket(payload: string | Buffer): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  if (bytes.length > MAX_PAYLOAD_BYTES) throw new RangeError(`a packet of ${bytes.length} bytes`)
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes])
}

/** Bytes on side band 1 (the report), 2 (text for the person) or 3 (fatal), in as many packets as they need. */
export function encodeBand(band: 1 | 2 | 3, bytes: Buffer): Buffer {
  const packets: Buffer[] = []
  for (let at = 0; at < bytes.length; at += MAX_BAND_BYTES) {
    packets.push(encodePacket(Buffer.concat([Buffer.from([band]), bytes.subarray(at, at + MAX_BAND_BYTES)])))
  }
  return Buffer.concat(packets)
}

/** An empty text packet: keeps a connection warm and shows nothing. */
export const KEEP_ALIVE = encodePacket(Buffer.from([2]))

/** Splits a byte stream into packets, whatever its chunks are. */
export class PacketReader {
  #pending: Buffer = Buffer.alloc(0)

  /** Bytes that are no whole packet yet. */
  get rest(): Buffer {
    return this.#pending
  }

  /** Adds bytes of the stream. */
  write(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
  }

  /**
   * The next whole packet, or undefined until more bytes come.
   * @throws MalformedPacket when the stream is not pkt-line.
   */
  next(): Packet | undefined {
    if (this.#pending.length < 4) return undefined
    const header = this.#pending.toString('latin1', 0, 4)
    if (!/^[0-9a-fA-F]{4}$/.test(header)) throw new MalformedPacket(header)
    const length = Number.parseInt(header, 16)
    if (length === 0) {
      this.#pending = this.#pending.subarray(4)
      return { kind: 'flush' }
    }
    if (length < 4 || length > MAX_PAYLOAD_BYTES + 4) throw new MalformedPacket(header)
    if (this.#pending.length < length) return undefined
    const payload = this.#pending.subarray(4, length)
    this.#pending = this.#pending.subarray(length)
    return { kind: 'data', payload }
  }
}
