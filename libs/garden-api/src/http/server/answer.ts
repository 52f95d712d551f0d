import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { errorToWire, type WireError } from '../codec/error-body.js'

/** A request body that is still coming when an early answer is out is read and thrown away for this long. */
const DISCARD_TIMEOUT_MS = 30_000

/** What a handler returns when it has answered by itself. */
export const ANSWERED = Symbol('answered')

/** Any success: a JSON value and a line end. */
export function answerJson(req: IncomingMessage, res: ServerResponse, value: unknown, status = 200): void {
  send(req, res, status, `${JSON.stringify(value)}\n`, {})
}

/** A failure; when the answer has begun there is nothing left but to break the connection. */
export function answerError(req: IncomingMessage, res: ServerResponse, error: unknown): WireError {
  const wire = errorToWire(error)
  if (res.headersSent) res.destroy()
  else send(req, res, wire.status, `${JSON.stringify(wire.body)}\n`, {})
  return wire
}

export function send(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string>,
): void {
  const bytes = Buffer.byteLength(body)
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes, ...headers })
  if (req.method === 'HEAD') {
    res.end()
    return
  }
  if (req.complete || req.destroyed) {
    res.end(body)
    return
  }
  // the whole answer goes out now, the end of it when the client has stopped sending: a connection closed before makes
  // the kernel throw the answer away
  res.write(body)
  const finish = (): void => {
    clearTimeout(timer)
    res.end()
  }
  const timer = setTimeout(() => req.destroy(), DISCARD_TIMEOUT_MS)
  req.once('end', finish).once('close', finish).on('error', finish).resume()
}

/** An error answer on a socket that node's response no longer owns. */
export function writeErrorByHand(socket: Duplex, error: unknown): void {
  const { status, body } = errorToWire(error)
  const text = `${JSON.stringify(body)}\n`
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
}
