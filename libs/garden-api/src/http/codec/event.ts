import type { ContainerEvent, EventPosition, Lease } from '../../types.js'
import { decodeOrRefuse, integer, object, text, type Decoder, type Problems } from './fields.js'
import { limits, limitsFromWire, limitsToWire } from './limits.js'
import { exitFields, exitFromWire, exitToWire, moment, toMoment } from './process-info.js'

/** Events, positions among them, and leases on the wire. */

/** The header of answers that tell of containers: events after this position are news to whoever reads them. */
export const POSITION_HEADER = 'garden-position'

const MAX_VERSION = Number.MAX_SAFE_INTEGER
const SIMPLE = ['created', 'stopped', 'paused', 'resumed', 'out-of-memory'] as const
const REASONS = ['asked', 'grace-time', 'lost'] as const

const eventFields = object({
  version: integer(1, MAX_VERSION),
  at: moment,
  handle: text(),
  kind: text(),
  reason: text(),
  process_id: text(),
  pid: integer(0, 2 ** 31),
  exit: object(exitFields),
  limits,
})

export function eventToWire(event: ContainerEvent): Record<string, unknown> {
  const { version, atMs, handle, kind } = event
  const base = { version, at: toMoment(atMs), handle, kind }
  switch (event.kind) {
    case 'destroyed':
      return { ...base, reason: event.reason }
    case 'process-started':
      return { ...base, process_id: event.processId, pid: event.pid }
    case 'process-exited':
      return { ...base, process_id: event.processId, exit: exitToWire(event.exit) }
    case 'limits-changed':
      return { ...base, limits: limitsToWire(event.limits) }
    default:
      return base
  }
}

/** @throws InvalidSpecError for what is no event; null for one of a kind this version does not know */
export function decodeEvent(json: unknown): ContainerEvent | null {
  const wire = decodeOrRefuse('event', (value, problems) => eventFields(value, '', problems), json)
  const base = { version: wire.version ?? 0, atMs: wire.at ?? 0, handle: wire.handle ?? '' }
  const processId = wire.process_id ?? ''
  const simple = SIMPLE.find((kind) => kind === wire.kind)
  if (simple !== undefined) return { ...base, kind: simple }
  switch (wire.kind) {
    case 'destroyed':
      return { ...base, kind: 'destroyed', reason: REASONS.find((reason) => reason === wire.reason) ?? 'asked' }
    case 'process-started':
      return { ...base, kind: 'process-started', processId, pid: wire.pid ?? null }
    case 'process-exited':
      return { ...base, kind: 'process-exited', processId, exit: exitFromWire(wire.exit ?? {}, base.atMs) }
    case 'limits-changed':
      return { ...base, kind: 'limits-changed', limits: limitsFromWire(wire.limits ?? {}) }
    default:
      return null
  }
}

export const positionToWire = ({ bootId, version }: EventPosition): { boot: string; version: number } => ({
  boot: bootId,
  version,
})
const positionFields = object({ boot: text(), version: integer(0, MAX_VERSION) })

/** @throws InvalidSpecError */
export function decodePosition(json: unknown): EventPosition {
  const wire = decodeOrRefuse('position', (value, problems) => positionFields(value, '', problems), json)
  return { bootId: wire.boot ?? '', version: wire.version ?? 0 }
}

/** `BOOT/VERSION`: in headers and as the id of server-sent events. */
export const positionText = ({ bootId, version }: EventPosition): string => `${bootId}/${version}`

/** Null when it is none. */
export function parsePosition(value: string): EventPosition | null {
  const match = /^([A-Za-z0-9._-]{1,128})\/(\d{1,16})$/.exec(value)
  return match === null ? null : { bootId: match[1] ?? '', version: Number(match[2]) }
}

const MAX_HOLDER_CHARACTERS = 256
const holder: Decoder<string> = text((value) =>
  value === '' || value.length > MAX_HOLDER_CHARACTERS ? `must have 1 to ${MAX_HOLDER_CHARACTERS} characters` : null,
)
const MAX_TTL_NS = 2 ** 63
const leaseFields = object({ holder, ttl: integer(1, MAX_TTL_NS), expires_at: moment })

export function leaseToWire(lease: Lease | null): { lease: { holder: string; expires_at: string } | null } {
  return { lease: lease === null ? null : { holder: lease.holder, expires_at: toMoment(lease.expiresAtMs) } }
}

/** What `PUT …/lease` asks for: how long from now (`ttl`, nanoseconds), or until when. @throws InvalidSpecError */
export function decodeLease(json: unknown, nowMs: number): Lease {
  return decodeOrRefuse(
    'lease',
    (value, problems: Problems) => {
      const wire = leaseFields(value, '', problems)
      if (wire === undefined) return undefined
      if (wire.holder === undefined && problems.size === 0) problems.set('holder', 'is missing')
      const until = wire.ttl === undefined ? wire.expires_at : nowMs + Math.ceil(wire.ttl / 1_000_000)
      if (until === undefined && problems.size === 0) problems.set('ttl', 'is missing')
      return { holder: wire.holder ?? '', expiresAtMs: until ?? 0 }
    },
    json,
  )
}

const leaseAnswer = object({ lease: object({ holder: text(), expires_at: moment }) })

/** @throws InvalidSpecError when a server answers something else */
export function decodeLeaseAnswer(json: unknown): Lease | null {
  const { lease } = decodeOrRefuse('lease', (value, problems) => leaseAnswer(value, '', problems), json)
  return lease === undefined ? null : { holder: lease.holder ?? '', expiresAtMs: lease.expires_at ?? 0 }
}
