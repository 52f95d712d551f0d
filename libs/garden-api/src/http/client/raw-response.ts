import type { Socket } from 'node:net'
import { errorFromWire } from '../codec/error-body.js'
import { ServiceUnavailableError } from '../../errors.js'
import { parseOr } from './transport.js'

const HEAD_END = '\r\n\r\n'
const MAX_HEAD_BYTES = 64 * 1024

/**
 * Reads the head of an answer whose connection becomes a raw stream, although real Garden's says it is chunked: node's
 * client would take it at its word. Resolves with what already came behind the head; the socket is then paused.
 * @throws the error the server answered instead
 */
export async function readStreamHead(socket: Socket): Promise<Buffer> {
  let all: Buffer = Buffer.alloc(0)
  const isHead = (): boolean => all.includes(HEAD_END)
  all = await collect(socket, all, (bytes) => bytes.includes(HEAD_END) || bytes.length > MAX_HEAD_BYTES)
  if (!isHead()) throw new ServiceUnavailableError('the server closed the connection before it answered')
  const at = all.indexOf(HEAD_END)
  const [line = '', ...rest] = all.toString('latin1', 0, at).split('\r\n')
  const status = Number(line.split(' ')[1])
  const body = all.subarray(at + HEAD_END.length)
  if (status >= 200 && status <= 299) return body
  const headers = new Map(
    rest.map((one) => [one.slice(0, one.indexOf(':')).toLowerCase(), one.slice(one.indexOf(':') + 1).trim()]),
  )
  const length = Number(headers.get('content-length') ?? Number.NaN)
  const isChunked = headers.get('transfer-encoding') === 'chunked'
  const isWhole = (bytes: Buffer): boolean => (isChunked ? bytes.includes('0\r\n\r\n') : bytes.length >= length)
  const whole = await collect(socket, body, isWhole)
  socket.destroy()
  throw errorFromWire(status, parseOr(isChunked ? unchunk(whole) : whole))
}

async function collect(socket: Socket, first: Buffer, isEnough: (bytes: Buffer) => boolean): Promise<Buffer> {
  let all = first
  if (isEnough(all)) return all
  return await new Promise((resolve) => {
    const settle = (): void => {
      socket.pause()
      socket.off('data', take).off('end', settle).off('close', settle)
      resolve(all)
    }
    const take = (data: Buffer): void => {
      all = Buffer.concat([all, data])
      if (isEnough(all)) settle()
    }
    socket.on('data', take).on('end', settle).on('close', settle)
    socket.resume()
  })
}

function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (lineEnd < 0 || !(size > 0)) return Buffer.concat(parts)
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}
