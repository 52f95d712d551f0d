import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { messageOf } from '@croft/kit'
import type { Agent, Dispatcher } from 'undici'
import { z } from 'zod'
import { lookup } from '../platform/loopback.js'
import { version } from '../version.js'
import { PlatformUnreachable } from './api-error.js'
import { apiErrorOf } from './problem.js'

/** An ordinary request. */
const REQUEST_TIMEOUT_MS = 30_000
const CONNECT_TIMEOUT_MS = 5_000

export interface CallOptions {
  body?: unknown
  /** Bytes instead of a body of JSON. */
  stream?: { type: string; bytes: Readable }
  query?: Record<string, string | undefined>
  timeoutMs?: number
  signal?: AbortSignal
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'

/** The platform's API under `/api/v1` with a token. */
export class ApiClient {
  #agent: Agent | undefined

  constructor(
    /** Origin, e.g. `http://croft.localhost:8080`. */
    readonly url: string,
    private readonly token: string,
  ) {}

  /**
   * One request; the answer is checked against `schema`, and further fields of a newer platform are let through.
   * @throws ApiError, PlatformUnreachable
   */
  async call<T extends z.ZodType>(
    method: Method,
    path: string,
    schema: T,
    options: CallOptions = {},
  ): Promise<z.infer<T>> {
    const answer = await this.#send(method, path, options, options.timeoutMs ?? REQUEST_TIMEOUT_MS)
    const text = await this.#whole(answer)
    const body = text === '' ? { value: undefined } : parseJson(text)
    const parsed = body === undefined ? undefined : schema.safeParse(body.value)
    if (parsed?.success === true) return parsed.data
    throw new PlatformUnreachable(this.url, `its answer to ${method} ${path} is not understood; is it a newer version?`)
  }

  /** Lines of a streamed answer as they come, until it ends or `signal` aborts. @throws ApiError, PlatformUnreachable */
  async *lines(path: string, options: CallOptions & { method?: Method } = {}): AsyncGenerator<string> {
    const answer = await this.#send(options.method ?? 'GET', path, options, 0)
    const lines = createInterface({ input: answer.body, crlfDelay: Infinity })
    try {
      for await (const line of lines) yield line
    } catch (error) {
      if (options.signal?.aborted !== true) throw new PlatformUnreachable(this.url, messageOf(error), error)
    } finally {
      // whoever has read enough does not hear how it ended
      lines.on('error', () => undefined)
      answer.body.on('error', () => undefined).destroy()
    }
  }

  async close(): Promise<void> {
    await this.#agent?.destroy()
  }

  async #send(method: Method, path: string, options: CallOptions, timeoutMs: number): Promise<Dispatcher.ResponseData> {
    const query = Object.entries(options.query ?? {}).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    )
    const target = `${this.url}/api/v1${path}${query.length === 0 ? '' : `?${new URLSearchParams(query).toString()}`}`
    /* a third of the program's start would be this package, and not every verb asks the API */
    const http = await import('./http.js')
    this.#agent ??= new http.Agent({ connect: { lookup, timeout: CONNECT_TIMEOUT_MS }, keepAliveTimeout: 1_000 })
    let answer: Dispatcher.ResponseData
    try {
      answer = await http.request(target, {
        method,
        dispatcher: this.#agent,
        headers: {
          ...(options.stream !== undefined && { 'content-type': options.stream.type }),
          authorization: `Bearer ${this.token}`,
          'user-agent': `croft/${version}`,
          accept: 'application/json',
          ...(options.body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
        ...(options.stream !== undefined && { body: options.stream.bytes }),
        ...(options.signal !== undefined && { signal: options.signal }),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      })
    } catch (error) {
      if (options.signal?.aborted === true) throw error
      throw new PlatformUnreachable(this.url, messageOf(error), error)
    }
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer
    throw apiErrorOf(this.url, answer.statusCode, answer.headers, await this.#whole(answer))
  }

  async #whole(answer: Dispatcher.ResponseData): Promise<string> {
    try {
      return await answer.body.text()
    } catch (error) {
      throw new PlatformUnreachable(this.url, messageOf(error), error)
    }
  }
}

/** The value of a JSON text, in a box so that `null` is told from text that is no JSON. */
function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}
