import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Call } from '../call.js'
import { EarlyBytes } from '../early-bytes.js'

/**
 * Answers a call with the head alone; from there on the connection is a raw pipe, in both directions, and the caller's.
 * `early` is what the client sent behind its request. Whoever takes the socket adds a `data` listener.
 *
 * `Transfer-Encoding: chunked` is a lie that Garden's server tells and Garden's Go client needs: of an HTTP/1.1 answer without a
 * length it would think that the connection ends with it, and refuse to go on ("persistent connection closed").
 */
export function hijack({ req, res }: Call, status: number): { socket: Socket; early: Buffer } {
  const { socket } = req
  res.detachSocket(socket)
  // `close` stays: it frees node's parser
  for (const event of ['data', 'end', 'error', 'timeout', 'drain']) socket.removeAllListeners(event)
  socket.on('error', () => undefined) // `close` follows
  socket.setTimeout(0)
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/json\r\nDate: ${new Date().toUTCString()}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  )
  return { socket, early: EarlyBytes.take(socket) }
}
