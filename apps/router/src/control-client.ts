import { request } from 'node:http'
import { CroftError } from '@croft/kit'

/** An answer of the controller's control socket. */
export interface ControlAnswer {
  status: number
  text: string
}

/** The controller does not answer on its control socket, or not in time. */
export class ControllerAway extends CroftError {
  constructor(what: string, cause: unknown) {
    super({ code: 'controller-away', status: 503, title: `The controller does not answer ${what}`, cause })
  }
}

/** A table larger than this is a fault, bytes. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024

/**
 * One request over the controller's control socket.
 * @throws ControllerAway when it cannot be reached or does not answer within `timeoutMs`.
 */
export function callController(options: {
  socketPath: string
  method: 'GET' | 'PUT'
  path: string
  body?: unknown
  timeoutMs: number
  signal: AbortSignal
}): Promise<ControlAnswer> {
  const what = `${options.method} ${options.path}`
  return new Promise((resolve, reject) => {
    const body = options.body === undefined ? undefined : JSON.stringify(options.body)
    const deadline = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)])
    const call = request(
      {
        socketPath: options.socketPath,
        method: options.method,
        path: options.path,
        headers: {
          host: 'control',
          ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
        signal: deadline,
        // A pooled connection may be one that the controller's restart has closed.
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > MAX_ANSWER_BYTES) call.destroy(new Error(`more than ${MAX_ANSWER_BYTES} bytes`))
          chunks.push(chunk)
        })
        response.on('error', (error) => reject(new ControllerAway(what, error)))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        )
      },
    )
    call.on('error', (error) => reject(new ControllerAway(what, error)))
    call.end(body)
  })
}
