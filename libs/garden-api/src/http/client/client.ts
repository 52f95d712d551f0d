import { systemClock, waitFor, type Clock } from '@croft/kit'
import type { Backend, Container, ResultOf } from '../../backend.js'
import {
  ContainerNotFoundError,
  GardenError,
  InvalidSpecError,
  NotSupportedError,
  ServiceUnavailableError,
} from '../../errors.js'
import type {
  Capabilities,
  Capacity,
  ContainerEvent,
  ContainerInfo,
  ContainerSpec,
  EventPosition,
  Metrics,
  RecoverReport,
} from '../../types.js'
import { containerSpecProblem, refuse } from '../../spec-rules.js'
import { containerSpecToWire, extensionsOf } from '../codec/container-spec.js'
import { errorFromWire } from '../codec/error-body.js'
import { decodeEvent, decodePosition } from '../codec/event.js'
import { decodeCapacity, decodeInfo, decodeMetrics } from '../codec/facts.js'
import { list, object, text } from '../codec/fields.js'
import { JsonLines } from '../codec/payload.js'
import { handleProblem } from '../codec/rules.js'
import { ClientContainer } from './client-container.js'
import { FOREIGN_CAPABILITIES, capabilitiesFromWire } from './foreign.js'
import { Remote } from './remote.js'
import { segment, Transport, type ClientOptions } from './transport.js'
import { understand, understandFields } from './understand.js'

/** So many handles go into one bulk question: a path has its limits. */
const BULK_HANDLES = 100
/** A server with nothing to tell says so four times as often. */
const EVENTS_SILENT_MS = 60_000
const MAX_EVENT_BYTES = 1024 * 1024
const FOREIGN_DESTROY_TIMEOUT_MS = 60_000

export interface GardenClientOptions extends ClientOptions {
  clock?: Clock
}

/**
 * A backend on the other side of the wire: our server, or real Garden. What real Garden cannot be asked is derived from
 * what it can, or refused by NotSupportedError.
 */
export function createGardenClient(options: GardenClientOptions): Backend {
  return new GardenClient(new Remote(new Transport(options), options.clock ?? systemClock))
}

/** What a server announces beyond Garden; nothing when it is real Garden. @throws ServiceUnavailableError when it cannot be reached */
export async function gardenFeatures(options: ClientOptions): Promise<ReadonlySet<string>> {
  return await new Remote(new Transport(options), systemClock).features()
}

const createdFields = object({ Handle: text() })
const listFields = object({ Handles: list(text(), 1_000_000) })

class GardenClient implements Backend {
  readonly #destroying = new Map<string, Promise<void>>()
  readonly #closing = new AbortController()

  constructor(private readonly remote: Remote) {}

  async ping(): Promise<void> {
    await this.remote.ping()
  }
  async capabilities(): Promise<Capabilities> {
    if (!(await this.remote.has('capabilities'))) return FOREIGN_CAPABILITIES
    return understand(capabilitiesFromWire, await this.#get('/capabilities'))
  }
  async capacity(): Promise<Capacity> {
    return understand(decodeCapacity, await this.#get('/capacity'))
  }
  /** The server has recovered by itself before it answered; what it has now is what was adopted. */
  async recover(): Promise<RecoverReport> {
    return { adopted: (await this.containers()).map((container) => container.handle), removed: [] }
  }
  async check(spec: ContainerSpec): Promise<void> {
    await this.remote.need('check', 'trying a create')
    await this.remote.transport.json({ method: 'POST', path: '/containers/check', body: await this.#wire(spec) })
  }
  async create(spec: ContainerSpec, signal?: AbortSignal): Promise<Container> {
    signal?.throwIfAborted()
    const answer = await this.remote.transport.json({
      method: 'POST',
      path: '/containers',
      body: await this.#wire(spec),
      ...(signal !== undefined && { signal }),
    })
    const { Handle: handle = '' } = understandFields('create', createdFields, answer)
    return this.#container(handle)
  }
  async lookup(handle: string): Promise<Container> {
    if (await this.remote.has('container')) {
      try {
        await this.remote.transport.json({ method: 'HEAD', path: `/containers/${segment(handle)}` })
      } catch (error) {
        if (error instanceof GardenError && error.status === 404) throw new ContainerNotFoundError(handle)
        await this.#get(`/containers/${segment(handle)}`) // an answer to HEAD has no body that could say more
      }
    } else if (!(await this.#handles({ 'garden.state': 'all' })).includes(handle))
      throw new ContainerNotFoundError(handle)
    return this.#container(handle)
  }
  async containers(properties: Record<string, string> = {}): Promise<Container[]> {
    return (await this.#handles(properties)).map((handle) => this.#container(handle))
  }
  async destroy(handle: string, options: { ifExists?: boolean } = {}): Promise<void> {
    // two connections keep no order: whoever comes second here must not be the first there
    const running = this.#destroying.get(handle)
    if (running !== undefined) return await running
    const destroyed = this.#destroy(handle, options.ifExists ?? false).finally(() => this.#destroying.delete(handle))
    this.#destroying.set(handle, destroyed)
    await destroyed
  }
  async pause(handles: readonly string[]): Promise<void> {
    await this.remote.need('pause', 'freezing containers')
    await this.remote.transport.json({ method: 'PUT', path: '/containers/pause', body: { handles } })
  }
  async resume(handles: readonly string[]): Promise<void> {
    await this.remote.need('pause', 'thawing containers')
    await this.remote.transport.json({ method: 'PUT', path: '/containers/resume', body: { handles } })
  }
  async bulkInfo(handles: readonly string[]): Promise<Map<string, ResultOf<ContainerInfo>>> {
    return await this.#bulk('/containers/bulk_info', handles, 'Info', decodeInfo)
  }
  async bulkMetrics(handles: readonly string[]): Promise<Map<string, ResultOf<Metrics>>> {
    return await this.#bulk('/containers/bulk_metrics', handles, 'Metrics', decodeMetrics)
  }
  async eventPosition(): Promise<EventPosition> {
    await this.remote.need('events', 'events')
    return understand(decodePosition, await this.#get('/events/position'))
  }
  events(signal: AbortSignal, after?: EventPosition): AsyncIterable<ContainerEvent> {
    // "from now on" is now, not when the first one is asked for
    const from = after === undefined ? this.eventPosition() : Promise.resolve(after)
    from.catch(() => undefined) // whoever reads hears of it
    return this.#follow(AbortSignal.any([signal, this.#closing.signal]), from)
  }
  async close(): Promise<void> {
    this.#closing.abort(new Error('the client was closed'))
  }

  async *#follow(stop: AbortSignal, from: Promise<EventPosition>): AsyncIterable<ContainerEvent> {
    await this.remote.need('events', 'events')
    const { bootId, version } = await from
    const query = { boot: bootId, since: String(version) }
    try {
      const answer = await this.remote.transport.receive(
        { method: 'GET', path: '/events', query, signal: stop },
        EVENTS_SILENT_MS,
      )
      const lines = new JsonLines(MAX_EVENT_BYTES)
      for await (const part of answer)
        for (const line of lines.push(part as Buffer)) {
          const event = eventOf(line)
          if (event !== null) yield event
        }
    } catch (error) {
      if (stop.aborted) return
      throw error instanceof GardenError ? error : lost(error)
    }
    if (!stop.aborted) throw lost()
  }
  #container(handle: string): Container {
    return new ClientContainer(handle, this.remote)
  }
  async #get(path: string): Promise<unknown> {
    return await this.remote.transport.json({ method: 'GET', path })
  }
  async #handles(properties: Record<string, string>): Promise<string[]> {
    const answer = await this.remote.transport.json({ method: 'GET', path: '/containers', query: properties })
    return understandFields('list', listFields, answer).Handles ?? []
  }
  /** @throws InvalidSpecError for what the wire cannot say, NotSupportedError for what the server would not understand */
  async #wire(spec: ContainerSpec): Promise<Record<string, unknown>> {
    const problem = spec.handle === undefined ? null : handleProblem(spec.handle)
    if (problem !== null) throw new InvalidSpecError(`container spec: handle ${problem}`, { handle: problem })
    refuse(containerSpecProblem(spec)) // JSON could not even say all of it
    const extensions = extensionsOf(spec)
    if (extensions.length > 0 && !(await this.remote.has('spec-fields')))
      throw new NotSupportedError(extensions.join(', '))
    return containerSpecToWire(spec)
  }
  async #destroy(handle: string, ifExists: boolean): Promise<void> {
    const isOurs = await this.remote.has('destroy-if-exists')
    const query = isOurs && ifExists ? { ignore_missing: 'true' } : {}
    try {
      await this.remote.transport.json({ method: 'DELETE', path: `/containers/${segment(handle)}`, query })
    } catch (error) {
      if (isOurs) throw error
      if (error instanceof ContainerNotFoundError && ifExists) return
      if (!(error instanceof GardenError) || error.message !== 'container already being destroyed') throw error
      await waitFor(async () => !(await this.#handles({ 'garden.state': 'all' })).includes(handle), {
        what: `container ${handle} to be gone`,
        timeoutMs: FOREIGN_DESTROY_TIMEOUT_MS,
        clock: this.remote.clock,
      })
    }
  }
  async #bulk<T>(
    path: string,
    handles: readonly string[],
    name: string,
    decode: (json: unknown) => T,
  ): Promise<Map<string, ResultOf<T>>> {
    const results = new Map<string, ResultOf<T>>()
    for (let at = 0; at < handles.length; at += BULK_HANDLES) {
      const some = handles.slice(at, at + BULK_HANDLES)
      const answer = await this.remote.transport.json({ method: 'GET', path, query: { handles: some.join(',') } })
      const entries = answer as Record<string, Record<string, unknown> | undefined>
      for (const handle of some) results.set(handle, resultOf(handle, entries[handle], name, decode))
    }
    return results
  }
}

/** Null for a kind of event this version does not know. @throws the failure that is the last line of a stream */
function eventOf(line: unknown): ContainerEvent | null {
  if (line instanceof Error) throw line
  if (typeof line === 'object' && line !== null && 'error' in line) throw errorFromWire(undefined, line.error)
  return understand(decodeEvent, line)
}

function lost(cause?: unknown): GardenError {
  return new ServiceUnavailableError('the server ended the events; go on from the last one', cause)
}

function resultOf<T>(
  handle: string,
  entry: Record<string, unknown> | undefined,
  name: string,
  decode: (json: unknown) => T,
): ResultOf<T> {
  if (entry === undefined) return { error: new ContainerNotFoundError(handle) }
  const failure = entry['Err']
  if (failure !== undefined && failure !== null) return { error: errorFromWire(undefined, failure) }
  return { value: understand(decode, entry[name]) }
}
