import { createConnection, type Socket } from 'node:net'
import { waitFor } from '@croft/kit'

/** A client that speaks in bytes, as the public Go client does: a new connection for each call, the host header `api`. */

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

/** The head of a request of the Go client's. */
export function head(method: string, path: string, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries({ Host: 'api', 'User-Agent': 'Go-http-client/1.1', ...headers })
  return `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

/** A connection that remembers all it got. */
export class RawConnection {
  readonly #parts: Buffer[] = []
  isEnded = false
  isBroken = false

  private constructor(readonly socket: Socket) {
    socket.on('data', (part) => this.#parts.push(part))
    socket.on('end', () => {
      this.isEnded = true
    })
    socket.on('error', () => {
      this.isBroken = true
    })
  }
  /** `unix:/path`, or a TCP port. */
  static async open(address: string | { host: string; port: number }): Promise<RawConnection> {
    const socket =
      typeof address === 'string' ? createConnection(address.slice('unix:'.length)) : createConnection(address)
    const connection = new RawConnection(socket)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return connection
  }
  write(data: string | Buffer): void {
    this.socket.write(data)
  }
  close(): void {
    this.socket.destroy()
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
  get text(): string {
    return this.bytes.toString()
  }
  /** What came after the head. */
  get body(): Buffer {
    const at = this.bytes.indexOf('\r\n\r\n')
    return at < 0 ? Buffer.alloc(0) : this.bytes.subarray(at + 4)
  }
  async untilHead(): Promise<RawAnswer> {
    await waitFor(() => this.text.includes('\r\n\r\n'), { what: 'the head of an answer', timeoutMs: 5000, everyMs: 2 })
    return parse(this.text)
  }
  async untilEnd(): Promise<RawAnswer> {
    await waitFor(() => this.isEnded || this.isBroken || this.socket.closed, {
      what: 'the end of an answer',
      timeoutMs: 5000,
      everyMs: 2,
    })
    return parse(this.text)
  }
  /** The payloads so far, of a process stream. */
  get payloads(): Record<string, unknown>[] {
    return this.body
      .toString()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  async payload(fits: (payload: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    return await waitFor(() => this.payloads.find(fits), {
      what: 'a payload',
      timeoutMs: 5000,
      everyMs: 2,
    })
  }
}

function parse(text: string): RawAnswer {
  const at = text.indexOf('\r\n\r\n')
  const [line = '', ...rest] = text.slice(0, at).split('\r\n')
  const headers = Object.fromEntries(
    rest.map((one) => [one.slice(0, one.indexOf(':')).toLowerCase(), one.slice(one.indexOf(':') + 1).trim()]),
  )
  return { status: Number(line.split(' ')[1]), headers, body: text.slice(at + 4) }
}

/** One ordinary call of the Go client's, on a connection of its own that the client asks to be closed. */
export async function call(
  address: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<RawAnswer & { json: Record<string, unknown> }> {
  const connection = await RawConnection.open(address)
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
  const length =
    body === undefined ? {} : { 'Content-Length': Buffer.byteLength(text), 'Content-Type': 'application/json' }
  connection.write(head(method, path, { ...length, Connection: 'close', ...headers }) + text)
  const answer = await connection.untilEnd()
  return { ...answer, json: (isJson(answer.body) ? JSON.parse(answer.body) : {}) as Record<string, unknown> }
}

const isJson = (text: string): boolean => /^[[{"\d]/.test(text)
