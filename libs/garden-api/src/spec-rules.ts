import { InvalidSpecError } from './errors.js'
import type { BindMount, ContainerSpec, Limits, NetIn, ProcessSpec, Rlimit } from './types.js'

/**
 * What is wrong with a spec for any backend, as a text; null when nothing is. A backend adds what its own cannot make. Pure.
 */

export const HANDLE = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/
export const PROCESS_ID = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/
export const HOSTNAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/
const MAX_PATH_CHARACTERS = 4095
const MAX_BINDS = 64
const MAX_PORTS = 256
const MAX_IO_WEIGHT = 10_000
const RLIMITS: readonly Rlimit[] = [
  ...(['as', 'core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue'] as const),
  ...(['nice', 'nofile', 'nproc', 'rss', 'rtprio', 'sigpending', 'stack'] as const),
]

/** Absolute, and nowhere up. */
const isPlainPath = (path: string): boolean =>
  path.startsWith('/') && !path.includes('\0') && !path.split('/').includes('..') && path.length <= MAX_PATH_CHARACTERS

function bindMountProblem(mount: BindMount): string | null {
  for (const path of [mount.srcPath, mount.dstPath]) if (!isPlainPath(path)) return `${path} is not an absolute path`
  if (mount.lowerPaths === undefined) return null
  if (mount.workPath === undefined) return `${mount.dstPath}: lowerPaths needs workPath`
  if (mount.lowerPaths.length === 0) return `${mount.dstPath}: lowerPaths is empty`
  return [...mount.lowerPaths, mount.workPath].every(isPlainPath) ? null : `${mount.dstPath}: a path is not absolute`
}

function bindMountsProblem(mounts: readonly BindMount[]): string | null {
  if (mounts.length > MAX_BINDS) return `more than ${MAX_BINDS} bind mounts`
  return mounts.map(bindMountProblem).find((problem) => problem !== null) ?? null
}

function envProblem(env: readonly string[]): string | null {
  const line = env.find((entry) => entry.includes('\0') || entry.indexOf('=') < 1)
  return line === undefined ? null : `not an environment entry: ${JSON.stringify(line.slice(0, 40))}`
}

export function netInProblem(ports: readonly NetIn[]): string | null {
  const wrong = ports
    .flatMap(({ hostPort = 0, containerPort = 0 }) => [hostPort, containerPort])
    .find((port) => !Number.isInteger(port) || port < 0 || port > 65_535)
  if (wrong !== undefined) return `not a port: ${wrong}`
  return ports.length > MAX_PORTS ? `more than ${MAX_PORTS} ports` : null
}

/** Of a spec, or of a change. */
export function limitProblem(limits: Limits | undefined): string | null {
  const { memory, cpu, pids, disk, bandwidth, io } = limits ?? {}
  const numbers = [
    memory?.limitBytes,
    cpu?.weight,
    cpu?.limitInShares,
    cpu?.quotaMillis,
    pids?.max,
    disk?.byteHard,
    disk?.inodeHard,
    io?.weight,
    io?.readBytesPerSecond,
    io?.writeBytesPerSecond,
    bandwidth?.rateBytesPerSecond,
    bandwidth?.burstBytes,
  ]
  if (numbers.some((n) => n !== undefined && (!Number.isSafeInteger(n) || n < 0)))
    return 'a limit is not a whole number of at least 0'
  return (io?.weight ?? 0) > MAX_IO_WEIGHT ? `an I/O weight is at most ${MAX_IO_WEIGHT}` : null
}

export function containerSpecProblem(spec: ContainerSpec): string | null {
  if (spec.handle !== undefined && !HANDLE.test(spec.handle)) return `not a handle: ${JSON.stringify(spec.handle)}`
  if (spec.hostname !== undefined && !HOSTNAME.test(spec.hostname))
    return `not a host name: ${JSON.stringify(spec.hostname)}`
  if (!Number.isSafeInteger(spec.graceTimeMs ?? 0) || (spec.graceTimeMs ?? 0) < 0)
    return 'the grace time is not a number of milliseconds'
  return (
    envProblem(spec.env ?? []) ??
    bindMountsProblem(spec.bindMounts ?? []) ??
    netInProblem(spec.netIn ?? []) ??
    limitProblem(spec.limits)
  )
}

export function processSpecProblem(spec: ProcessSpec): string | null {
  if (spec.id !== undefined && !PROCESS_ID.test(spec.id)) return `not a process id: ${JSON.stringify(spec.id)}`
  if (spec.path === '') return 'a process needs a path'
  if (spec.image === undefined && (spec.bindMounts !== undefined || spec.limits !== undefined))
    return 'bind mounts and limits are for processes with an image of their own'
  if ([spec.path, spec.dir ?? '', spec.user ?? '', ...(spec.args ?? [])].some((text) => text.includes('\0')))
    return 'a process spec holds a NUL byte'
  for (const [name, value] of Object.entries(spec.rlimits ?? {})) {
    if (!RLIMITS.some((known) => known === name)) return `unknown resource limit ${name}`
    if (!Number.isSafeInteger(value) || value < 0) return `resource limit ${name} is not a whole number of at least 0`
  }
  return envProblem(spec.env ?? []) ?? bindMountsProblem(spec.bindMounts ?? []) ?? limitProblem(spec.limits)
}

/** @throws InvalidSpecError */
export function refuse(problem: string | null): void {
  if (problem !== null) throw new InvalidSpecError(problem)
}
