import { Readable } from 'node:stream'
import { CroftError, parseDigest, type Digest } from '@croft/kit'
import {
  desiredInstanceSchema,
  desiredStreamSchema,
  nodeJoinedSchema,
  snapshotSchema,
  type NodeJoin,
  type NodeJoined,
  type NodeReport,
  type WatchQuery,
  buildWishesSchema,
  type BuildWishes,
} from '@croft/protocol'
import { Agent, request, type Dispatcher } from 'undici'
import { z } from 'zod'

const desiredSetSchema = snapshotSchema(desiredInstanceSchema).extend({
  streams: z.array(desiredStreamSchema).default([]),
})
/** A node's complete desired set. */
export type DesiredSet = z.infer<typeof desiredSetSchema>

const CALL_TIMEOUT_MS = 10_000
/** How much longer than its wait a long poll may take. */
const POLL_SLACK_MS = 5_000
const SOURCE_TIMEOUT_MS = 120_000
/** An image may be large and its registry slow; the build's own limit comes first. */
const IMAGE_TIMEOUT_MS = 30 * 60_000
const registryProxySchema = z.object({ proxy: z.string().nullable(), noProxy: z.string().nullable() })
const refusalSchema = z.object({ title: z.string(), suggestion: z.string().default('check the name') })

/** The controller did not answer as the contract says. */
export class ControllerError extends CroftError {
  /** The code of the problem it answered with, if it did. */
  readonly problem: string | null

  constructor(what: string, status: number, detail: string) {
    super({
      code: 'controller-refused',
      status: 502,
      title: `the controller answered ${status} to ${what}`,
      detail: detail.slice(0, 500),
    })
    this.problem = problemCodeOf(detail)
  }
}

/** Whether the controller says that this node has to join (again). */
export function isNodeUnknown(error: unknown): boolean {
  return error instanceof ControllerError && error.problem === 'node-unknown'
}

function problemCodeOf(text: string): string | null {
  try {
    return z.object({ code: z.string() }).parse(JSON.parse(text)).code
  } catch {
    return null
  }
}

/** The executor's calls to the controller, over its unix socket. Only `sync/` and builds use it. */
export class ControllerClient {
  readonly #agent: Agent

  constructor(readonly socketPath: string) {
    this.#agent = new Agent({ connect: { socketPath }, connections: 8 })
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async join(join: NodeJoin, signal: AbortSignal): Promise<NodeJoined> {
    const { body } = await this.#call('POST', '/v1/nodes', { json: join, signal })
    return nodeJoinedSchema.parse(await body.json())
  }

  /** One long poll; null for 204. */
  async desired(nodeId: string, query: WatchQuery, signal: AbortSignal): Promise<DesiredSet | null> {
    const search = new URLSearchParams({
      after: String(query.after),
      wait: String(query.waitSeconds),
      ...(query.epoch !== null && { epoch: query.epoch }),
    })
    const path = `/v1/nodes/${nodeId}/desired?${search.toString()}`
    const { statusCode, body } = await this.#call('GET', path, {
      signal,
      timeoutMs: query.waitSeconds * 1_000 + POLL_SLACK_MS,
    })
    if (statusCode !== 204) return desiredSetSchema.parse(await body.json())
    await body.dump()
    return null
  }

  /** Sends a report. `send-full`: the controller wants all statuses. */
  async report(nodeId: string, report: NodeReport, signal: AbortSignal): Promise<'taken' | 'send-full'> {
    const { statusCode, body } = await this.#call('PUT', `/v1/nodes/${nodeId}/status`, {
      json: report,
      signal,
      allow: [409],
    })
    await body.dump()
    return statusCode === 409 ? 'send-full' : 'taken'
  }

  /** The source of a build as a tar. */
  async source(buildId: string, signal: AbortSignal): Promise<Readable> {
    const { body } = await this.#call('GET', `/v1/builds/${buildId}/source`, { signal, timeoutMs: SOURCE_TIMEOUT_MS })
    return body
  }

  /** What the app wants of a build. */
  async wishes(buildId: string, signal: AbortSignal): Promise<BuildWishes> {
    const { body } = await this.#call('GET', `/v1/builds/${buildId}/wishes`, { signal })
    return buildWishesSchema.parse(await body.json())
  }

  /** The certificates that the platform's settings trust besides the host's, in PEM; empty: none. */
  async registryCertificates(): Promise<string> {
    const { body } = await this.#call('GET', '/v1/registry-certificates', {
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    })
    return body.text()
  }

  /** The proxy that the platform's settings name for other registries, and what is reached without; null: as the host has it. */
  async registryProxy(): Promise<{ proxy: string | null; noProxy: string | null }> {
    const { body } = await this.#call('GET', '/v1/registry-proxy', { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) })
    return registryProxySchema.parse(await body.json())
  }

  /** Has an image brought into the repository of a build's app. */
  async image(
    buildId: string,
    reference: string,
    signal: AbortSignal,
  ): Promise<{ image: Digest } | { refusal: { title: string; suggestion: string } }> {
    const { statusCode, body } = await this.#call('POST', `/v1/builds/${buildId}/images`, {
      json: { image: reference },
      signal,
      timeoutMs: IMAGE_TIMEOUT_MS,
      allow: [422],
    })
    const json = await body.json()
    if (statusCode === 422) return { refusal: refusalSchema.parse(json) }
    return { image: parseDigest(z.object({ image: z.string() }).parse(json).image) }
  }

  /** Appends text to a build's log. */
  async log(buildId: string, text: string, signal: AbortSignal): Promise<void> {
    const { body } = await this.#call('POST', `/v1/builds/${buildId}/log`, { text, signal })
    await body.dump()
  }

  async #call(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    options: { json?: unknown; text?: string; signal: AbortSignal; timeoutMs?: number; allow?: number[] },
  ): Promise<Dispatcher.ResponseData> {
    const body = options.json === undefined ? options.text : JSON.stringify(options.json)
    const type = options.json === undefined ? 'text/plain' : 'application/json'
    const timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS
    const response = await request(`http://controller${path}`, {
      method,
      dispatcher: this.#agent,
      signal: AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      ...(body !== undefined && { body, headers: { 'content-type': type } }),
    })
    if (response.statusCode < 300 || options.allow?.includes(response.statusCode) === true) return response
    throw new ControllerError(`${method} ${path.split('?')[0]}`, response.statusCode, await response.body.text())
  }
}
