import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '@croft/kit'
import type { AttachFrom, Container, LogChunk, Process, ProcessIo } from '../../backend.js'
import { GardenError, StreamError } from '../../errors.js'
import type {
  ContainerInfo,
  Lease,
  Limits,
  LiveLimits,
  MappedPort,
  Metrics,
  NetIn,
  NetOutRule,
  ProcessInfo,
  ProcessSpec,
} from '../../types.js'
import { limitProblem, processSpecProblem, refuse } from '../../spec-rules.js'
import { nanoseconds, object, textMap, toNanoseconds } from '../codec/fields.js'
import { decodeInfo, decodeMetrics } from '../codec/facts.js'
import { decodeLeaseAnswer, leaseToWire } from '../codec/event.js'
import { decodeLimits, limitsToWire } from '../codec/limits.js'
import { decodeMappedPort, netInToWire, netOutRuleToWire } from '../codec/network.js'
import { decodeProcessInfos } from '../codec/process-info.js'
import { processSpecToWire } from '../codec/process-spec.js'
import { openProcess } from './client-process.js'
import type { Remote } from './remote.js'
import { segment, type Ask } from './transport.js'
import { understand, understandFields } from './understand.js'

/** A container of another server. */
export class ClientContainer implements Container {
  constructor(
    readonly handle: string,
    private readonly remote: Remote,
  ) {}

  async info(): Promise<ContainerInfo> {
    return understand(decodeInfo, await this.#get('/info'))
  }
  async metrics(): Promise<Metrics> {
    return understand(decodeMetrics, await this.#get('/metrics'))
  }
  async stop(options: { kill?: boolean } = {}): Promise<void> {
    await this.#ask({ method: 'PUT', path: '/stop', body: { kill: options.kill ?? false } })
  }

  async run(spec: ProcessSpec, io: ProcessIo = {}): Promise<Process> {
    refuse(processSpecProblem(spec))
    const ask = { method: 'POST', path: this.#path('/processes'), body: processSpecToWire(spec) }
    return await this.#open(ask, io, true)
  }
  async attach(processId: string, io: ProcessIo = {}, from: AttachFrom = { kind: 'now' }): Promise<Process> {
    if (from.kind !== 'now') await this.remote.need('attach-from', 'attaching from an offset')
    const path = this.#path(`/processes/${segment(processId)}`)
    return await this.#open({ method: 'GET', path, query: fromToQuery(from) }, io, false)
  }
  async processes(): Promise<ProcessInfo[]> {
    await this.remote.need('processes', 'listing processes')
    return understand(decodeProcessInfos, await this.#get('/processes'))
  }
  async readLog(processId: string, stream: 'stdout' | 'stderr', fromOffset = 0): Promise<LogChunk> {
    await this.remote.need('process-log', 'reading the kept output of a process')
    const path = this.#path(`/processes/${segment(processId)}/log`)
    const query = { stream, from: String(fromOffset) }
    const { body, headers } = await this.remote.transport.bytes({ method: 'GET', path, query })
    return {
      stream,
      offset: Number(headers['garden-offset'] ?? fromOffset),
      data: body,
      droppedBytes: Number(headers['garden-dropped'] ?? 0),
    }
  }

  async streamIn(options: { user: string; path: string; tar: Readable }): Promise<void> {
    const query = { user: options.user, destination: options.path }
    try {
      await this.remote.transport.send(
        { method: 'PUT', path: this.#path('/files'), query },
        options.tar,
        'application/x-tar',
      )
    } catch (error) {
      throw error instanceof GardenError ? error : new StreamError('in', messageOf(error))
    }
  }
  async streamOut(options: { user: string; path: string }): Promise<Readable> {
    const query = { user: options.user, source: options.path }
    const answer = await this.remote.transport.receive({ method: 'GET', path: this.#path('/files'), query })
    const tar = new PassThrough()
    // a connection that breaks off is the only way to say that the tar is not whole
    pipeline(answer, tar).catch((error: unknown) =>
      tar.destroy(new StreamError('out', `the archive ended early (${messageOf(error)})`)),
    )
    return tar
  }

  async properties(): Promise<Record<string, string>> {
    return understandFields('properties', textMap, await this.#get('/properties'))
  }
  async setProperty(key: string, value: string): Promise<void> {
    await this.#ask({ method: 'PUT', path: `/properties/${segment(key)}`, body: { value } })
  }
  async removeProperty(key: string): Promise<void> {
    await this.#ask({ method: 'DELETE', path: `/properties/${segment(key)}` })
  }

  async limits(): Promise<Limits> {
    if (await this.remote.has('limits')) return understand(decodeLimits, await this.#get('/limits'))
    const [bandwidth, cpu, disk, memory] = await Promise.all(
      ['bandwidth', 'cpu', 'disk', 'memory'].map(async (kind) => await this.#get(`/limits/${kind}`)),
    )
    return understand(decodeLimits, {
      bandwidth_limits: bandwidth,
      cpu_limits: cpu,
      disk_limits: disk,
      memory_limits: memory,
    })
  }
  async changeLimits(limits: LiveLimits): Promise<void> {
    refuse(limitProblem(limits))
    await this.remote.need('limits', 'changing limits')
    await this.#ask({ method: 'PATCH', path: '/limits', body: limitsToWire(limits) })
  }
  async netIn(ports: NetIn): Promise<MappedPort> {
    return understand(decodeMappedPort, await this.#ask({ method: 'POST', path: '/net/in', body: netInToWire(ports) }))
  }
  async netOut(rules: readonly NetOutRule[]): Promise<void> {
    await this.#ask({ method: 'POST', path: '/net/out/bulk', body: rules.map(netOutRuleToWire) })
  }

  async graceTimeMs(): Promise<number> {
    await this.remote.need('grace-time', 'asking for the grace time')
    const fields = object({ grace_time: nanoseconds })
    return understandFields('grace time', fields, await this.#get('/grace_time')).grace_time ?? 0
  }
  async setGraceTime(graceTimeMs: number): Promise<void> {
    // real Garden takes 0 for "now" and destroys the container
    if (graceTimeMs === 0) await this.remote.need('grace-time', 'a grace time of 0 after the create')
    await this.#ask({ method: 'PUT', path: '/grace_time', body: toNanoseconds(graceTimeMs) })
  }
  async lease(): Promise<Lease | null> {
    await this.remote.need('lease', 'a lease')
    return understand(decodeLeaseAnswer, await this.#get('/lease'))
  }
  async setLease(lease: Lease | null): Promise<void> {
    await this.remote.need('lease', 'a lease')
    await this.#ask(
      lease === null
        ? { method: 'DELETE', path: '/lease' }
        : { method: 'PUT', path: '/lease', body: leaseToWire(lease).lease },
    )
  }

  #path(rest: string): string {
    return `/containers/${segment(this.handle)}${rest}`
  }
  async #get(rest: string): Promise<unknown> {
    return await this.#ask({ method: 'GET', path: rest })
  }
  async #ask(ask: Ask): Promise<unknown> {
    return await this.remote.transport.json({ ...ask, path: this.#path(ask.path) })
  }
  async #open(ask: Ask, io: ProcessIo, isRun: boolean): Promise<Process> {
    const { transport, clock } = this.remote
    const features = await this.remote.features()
    return await openProcess(ask, {
      transport,
      clock,
      has: (feature) => features.has(feature),
      handle: this.handle,
      io,
      isRun,
    })
  }
}

function fromToQuery(from: AttachFrom): Record<string, string | undefined> {
  if (from.kind === 'now') return {}
  if (from.kind === 'tail') return { tail: String(from.bytes) }
  if (from.stdout === undefined && from.stderr === undefined) return { from: '0' }
  return { stdout_from: from.stdout?.toString(), stderr_from: from.stderr?.toString() }
}
