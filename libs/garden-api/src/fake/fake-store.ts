import type { NewEvent } from '../event-log.js'
import { AlreadyInUseError, InvalidSpecError } from '../errors.js'
import type { ContainerSpec, Lease, Limits, MappedPort, NetIn, NetOutRule } from '../types.js'
import { FakeFiles } from './fake-files.js'
import type { FakeProcess } from './fake-process.js'

const FIRST_POOL_PORT = 61_001

/** A container as it lies on the fake host. */
export interface FakeRecord {
  handle: string
  spec: ContainerSpec
  address: string
  properties: Record<string, string>
  isStopped: boolean
  isPaused: boolean
  createdAtMs: number
  limits: Limits
  mappedPorts: MappedPort[]
  netOut: NetOutRule[]
  graceTimeMs: number
  lease: Lease | null
  files: FakeFiles
  processes: Map<string, FakeProcess>
}

/** The fake host: what stays when a backend object goes. Several backends in turn may stand on one. */
export class FakeStore {
  readonly records = new Map<string, FakeRecord>()
  /** Users beyond root that containers know. */
  readonly users = new Set(['root', 'croft', 'croft-build', 'alice'])
  /** The backends that stand on this host now, by what they hear events with. */
  readonly listeners = new Set<(event: NewEvent) => void>()
  #nextPid = 1000
  #nextAddress = 2
  #nextPort = FIRST_POOL_PORT

  onEvent(event: NewEvent): void {
    for (const listener of this.listeners) listener(event)
  }
  nextPid(): number {
    return this.#nextPid++
  }
  /** The asked address if nobody has it, or the next free one; null when it is taken. */
  takeAddress(wanted: string | undefined): string | null {
    const taken = new Set([...this.records.values()].map((record) => record.address))
    if (wanted !== undefined) return taken.has(wanted) ? null : wanted
    for (;;) {
      const address = `10.255.${Math.floor(this.#nextAddress / 256)}.${this.#nextAddress % 256}`
      this.#nextAddress += 1
      if (!taken.has(address)) return address
    }
  }
  /** Opens ports of the fake host, all or none. @throws InvalidSpecError, AlreadyInUseError */
  map(wanted: readonly NetIn[]): MappedPort[] {
    const taken = new Set([...this.records.values()].flatMap((record) => record.mappedPorts.map((one) => one.hostPort)))
    return wanted.map(({ hostPort = 0, containerPort = 0 }) => {
      for (const port of [hostPort, containerPort])
        if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidSpecError(`not a port: ${port}`)
      if (taken.has(hostPort)) throw new AlreadyInUseError(`host port ${hostPort}`)
      while (taken.has(this.#nextPort)) this.#nextPort += 1
      const given = hostPort || this.#nextPort++
      taken.add(given)
      return { hostPort: given, containerPort: containerPort || given }
    })
  }
  add(record: Omit<FakeRecord, 'files' | 'processes'>): FakeRecord {
    const whole = { ...record, files: new FakeFiles(), processes: new Map<string, FakeProcess>() }
    this.records.set(record.handle, whole)
    return whole
  }
  /** The container and every process of it end, as when the host loses it without being asked. */
  lose(handle: string, reason: 'asked' | 'grace-time' | 'lost' = 'lost'): void {
    for (const process of this.records.get(handle)?.processes.values() ?? [])
      if (process.exit === null) process.signal(9)
    if (this.records.delete(handle)) this.onEvent({ kind: 'destroyed', handle, reason })
  }
}
