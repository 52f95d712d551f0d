import { CroftError } from '@croft/kit'

/** What may be received at the same time: packs of pushes and archives of folders alike. No time, no I/O. Pure. */

/** In all: each is unpacked by one process of git, and more of them than processors only makes all of them late. */
const MAX_RECEPTIONS = 8
/** Of one team: half of all, so that its slow lines keep nobody else out. */
const MAX_TEAM_RECEPTIONS = 4
/** What stays free of the disk when everything that is under way has come, bytes: databases and builds go on. */
const RESERVED_BYTES = 512 * 1024 ** 2
const MIB = 1024 ** 2

export interface Reception {
  team: string
  /** What it may write at most, bytes. */
  bytes: number
}

export type ReceptionAdmission =
  | { kind: 'goes' }
  | { kind: 'waits'; of: 'team' | 'all' | 'disk'; why: string }
  /** There is no room, and none of those under way gives any back. */
  | { kind: 'full'; neededBytes: number }

export function admitReception(
  wanted: Reception,
  underWay: Iterable<Reception>,
  freeBytes: number,
): ReceptionAdmission {
  const others = [...underWay]
  const ofTeam = others.filter(({ team }) => team === wanted.team).length
  if (ofTeam >= MAX_TEAM_RECEPTIONS) return { kind: 'waits', of: 'team', why: named(ofTeam, ' of the team') }
  if (others.length >= MAX_RECEPTIONS) return { kind: 'waits', of: 'all', why: named(others.length) }
  const neededBytes = RESERVED_BYTES + wanted.bytes + others.reduce((sum, { bytes }) => sum + bytes, 0)
  if (neededBytes <= freeBytes) return { kind: 'goes' }
  if (others.length === 0) return { kind: 'full', neededBytes }
  const why = `${named(others.length)}, and only ${mib(freeBytes)} of the disk are free`
  return { kind: 'waits', of: 'disk', why }
}

function named(others: number, whose = ''): string {
  return others === 1 ? `another push${whose} is being received` : `${others} other pushes${whose} are being received`
}

function mib(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`
}

/** What a request may bring, bytes: what it says where that is what comes, else `mostBytes`. Pure. */
export function promisedBytes(headers: Record<string, string | string[] | undefined>, mostBytes: number): number {
  const length = headers['content-length']
  const isExact = headers['content-encoding'] === undefined && typeof length === 'string' && /^\d+$/.test(length)
  return isExact ? Math.min(Number(length), mostBytes) : mostBytes
}

/** Others are received, and that did not change while it waited. */
export class TooManyReceptions extends CroftError {
  constructor(why: string) {
    super({
      code: 'receiving-others',
      status: 429,
      title: why,
      suggestion: 'wait a moment and try again',
      retryAfterS: 2,
    })
  }
}

/** What is sent might not find room, and others need what is left. */
export class DiskNearlyFull extends CroftError {
  constructor(freeBytes: number, neededBytes: number) {
    super({
      code: 'disk-nearly-full',
      status: 507,
      title: `the disk of the platform is nearly full: ${mib(freeBytes)} free, ${mib(neededBytes)} needed`,
      suggestion: 'have whoever runs the platform free some space (croft doctor says where), then try again',
    })
  }
}
