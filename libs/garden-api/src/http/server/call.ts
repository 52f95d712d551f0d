import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '@croft/kit'
import type { Backend, Container } from '../../backend.js'
import { GardenError, InvalidSpecError } from '../../errors.js'
import type { ServerContext } from './context.js'
import type { Route } from './route.js'

/** One request on its way through a route. */
export class Call {
  /** Aborted when the client has gone before it was answered. */
  readonly signal: AbortSignal
  readonly #gone = new AbortController()
  readonly #ends: (() => void)[] = []

  constructor(
    readonly context: ServerContext,
    readonly route: Route,
    readonly params: Readonly<Record<string, string>>,
    readonly query: URLSearchParams,
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
  ) {
    this.signal = this.#gone.signal
  }

  get backend(): Backend {
    return this.context.backend
  }
  get handle(): string {
    return this.param('handle')
  }
  param(name: string): string {
    const value = this.params[name]
    if (value === undefined) throw new Error(`the route ${this.route.path} has no ${name}`)
    return value
  }
  /** @throws ContainerNotFoundError, for every call that names an unknown handle */
  async container(): Promise<Container> {
    return await this.backend.lookup(this.handle)
  }
  /** This call uses the container until it ends, its streams included. */
  hold(handle: string): void {
    const end = this.context.hold?.(handle, this.route.name)
    if (end !== undefined) this.#ends.push(end)
  }
  /** The client is gone. */
  leave(): void {
    this.#gone.abort(new Error('the client went away'))
  }
  end(): void {
    for (const end of this.#ends.splice(0)) end()
  }
  /** The body, whatever its content type says. @throws InvalidSpecError, GardenError (413) */
  async json(): Promise<unknown> {
    const body = await this.body(this.context.maxBodyBytes)
    try {
      return JSON.parse(body.toString()) as unknown
    } catch (error) {
      throw new InvalidSpecError(`the body is not JSON: ${messageOf(error)}`, { body: 'must be JSON' })
    }
  }
  async body(maxBytes: number): Promise<Buffer> {
    const parts: Buffer[] = []
    let size = 0
    for await (const part of this.req.iterator({ destroyOnReturn: false })) {
      size += (part as Buffer).length
      if (size > maxBytes) {
        const title = `the body is longer than ${maxBytes} bytes`
        throw new GardenError({ code: 'body-too-large', status: 413, title })
      }
      parts.push(part as Buffer)
    }
    return Buffer.concat(parts)
  }
}
