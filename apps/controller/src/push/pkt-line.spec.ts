import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodeBand,
  encodePacket,
  FLUSH,
  MalformedPacket,
  MAX_PAYLOAD_BYTES,
  PacketReader,
  type Packet,
} from './pkt-line.js'

function read(bytes: Buffer, cut: number): Packet[] {
  const reader = new PacketReader()
  const packets: Packet[] = []
  for (let at = 0; at < bytes.length; at += cut) {
    reader.write(bytes.subarray(at, at + cut))
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) packets.push(packet)
  }
  return packets
}

describe('pkt-line framing', () => {
  it('reads what it wrote, wherever the chunks are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 50 }),
        (payloads, cut) => {
          const bytes = Buffer.concat([...payloads.map((payload) => encodePacket(Buffer.from(payload))), FLUSH])
          const packets = read(bytes, cut)
          expect(packets.at(-1)).toEqual({ kind: 'flush' })
          expect(packets.slice(0, -1).map((packet) => (packet.kind === 'data' ? [...packet.payload] : []))).toEqual(
            payloads.map((payload) => [...payload]),
          )
        },
      ),
    )
  })
  it('splits long text over side-band packets that fit', () => {
    const packets = read(encodeBand(2, Buffer.alloc(200_000, 'x')), 70_000)
    expect(packets).toHaveLength(4)
    expect(packets.every((packet) => packet.kind === 'data' && packet.payload.length <= MAX_PAYLOAD_BYTES)).toBe(true)
  })
  it.each(['zzzz', '0001', '0003', 'ffff'])('refuses the length %s', (header) => {
    const reader = new PacketReader()
    reader.write(Buffer.from(`${header}${'x'.repeat(16)}`))
    expect(() => reader.next()).toThrow(MalformedPacket)
  })
})
