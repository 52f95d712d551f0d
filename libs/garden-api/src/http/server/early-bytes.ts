import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { GardenError } from '../../errors.js'
import { writeErrorByHand } from './answer.js'

/** More than this before the answer makes the client wait. */
const MAX_EARLY_BYTES = 1024 * 1024

const kept = new WeakMap<Duplex, Buffer[]>()

/**
 * What a client sends behind a request before it is answered. To node's parser the first input frames of a process look
 * like a broken second request: they are kept for the stream the answer opens, and are an error only if it opens none.
 */
export const EarlyBytes = {
  begin(req: IncomingMessage, res: ServerResponse): void {
    const { socket } = req
    kept.set(socket, [])
    res.once('finish', () => {
      const isBroken = (kept.get(socket)?.length ?? 0) > 0
      kept.delete(socket)
      if (isBroken) socket.destroy()
    })
  },
  onClientError(error: Error, socket: Duplex): void {
    const { rawPacket, bytesParsed = 0 } = error as { rawPacket?: Buffer; bytesParsed?: number }
    const early = kept.get(socket)
    if (early === undefined || rawPacket === undefined) return refuse(error, socket)
    early.push(Buffer.from(rawPacket.subarray(bytesParsed)))
    if (early.reduce((sum, part) => sum + part.length, 0) > MAX_EARLY_BYTES) socket.pause()
  },
  /** Hands them to the stream that now owns the socket. */
  take(socket: Duplex): Buffer {
    const early = Buffer.concat(kept.get(socket) ?? [])
    kept.delete(socket)
    return early
  },
}

function refuse(error: Error, socket: Duplex): void {
  if (!socket.writable) return void socket.destroy()
  writeErrorByHand(socket, new GardenError({ code: 'bad-request', status: 400, title: `not HTTP: ${error.message}` }))
}
