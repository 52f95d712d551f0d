import { InvalidSpecError, type ContainerSpec, type Limits, type NetIn, type ProcessSpec } from '@croft/garden-api'
import { isHandle } from '../home/naming.js'
import { netOutProblem } from '../networker/net-out.js'
import { bandwidthProblem } from '../networker/shaper.js'
import { RLIMIT_NUMBERS } from '../shim/frames.js'

const PROCESS_ID = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/
const HOSTNAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/
/** Mounted by the platform; a tenant's mount over them, or below, would undo masks and limits. */
const RESERVED_DESTINATIONS = ['/', '/proc', '/sys', '/dev', '/tmp/garden-init', '/etc/hosts', '/etc/resolv.conf']
const MAX_BINDS = 64
const MAX_PORTS = 256

const isPlainPath = (path: string): boolean =>
  path.startsWith('/') && !path.includes('\0') && !path.split('/').includes('..') && path.length < 4096

function bindProblem(spec: Pick<ContainerSpec, 'bindMounts'>): string | null {
  for (const mount of spec.bindMounts ?? []) {
    if (!isPlainPath(mount.srcPath)) return `${mount.srcPath} is not an absolute path`
    if (!isPlainPath(mount.dstPath)) return `${mount.dstPath} is not an absolute path`
    const at = mount.dstPath.replace(/\/+$/, '') || '/'
    const isReserved = RESERVED_DESTINATIONS.some((path) => at === path || (path !== '/' && at.startsWith(`${path}/`)))
    if (isReserved) return `nothing can be mounted at ${mount.dstPath}`
    if (mount.lowerPaths !== undefined && mount.workPath === undefined)
      return `${mount.dstPath}: lowerPaths needs workPath`
    if (mount.lowerPaths?.length === 0) return `${mount.dstPath}: lowerPaths is empty`
    if (![...(mount.lowerPaths ?? []), mount.workPath ?? '/'].every(isPlainPath))
      return `${mount.dstPath}: a path is not absolute`
  }
  return (spec.bindMounts?.length ?? 0) > MAX_BINDS ? `more than ${MAX_BINDS} bind mounts` : null
}

/** What is wrong with ports to map; null when nothing is. Pure. */
export function netInProblem(ports: readonly NetIn[]): string | null {
  const wrong = ports
    .flatMap(({ hostPort = 0, containerPort = 0 }) => [hostPort, containerPort])
    .find((port) => !Number.isInteger(port) || port < 0 || port > 65_535)
  if (wrong !== undefined) return `not a port: ${wrong}`
  return ports.length > MAX_PORTS ? `more than ${MAX_PORTS} ports` : null
}

const MAX_IO_WEIGHT = 10_000

/** What is wrong with limits, of a spec or of a change; null when nothing is. Pure. */
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
  ]
  if (numbers.some((n) => n !== undefined && (!Number.isSafeInteger(n) || n < 0)))
    return 'a limit is not a whole number of at least 0'
  if ((io?.weight ?? 0) > MAX_IO_WEIGHT) return `an I/O weight is at most ${MAX_IO_WEIGHT}`
  return bandwidth === undefined ? null : bandwidthProblem(bandwidth)
}

/** What is wrong with a spec that no host could make; null when nothing is. Pure. */
export function specProblem(spec: ContainerSpec): string | null {
  if (spec.handle !== undefined && !isHandle(spec.handle)) return `not a handle: ${JSON.stringify(spec.handle)}`
  if (spec.hostname !== undefined && !HOSTNAME.test(spec.hostname))
    return `not a host name: ${JSON.stringify(spec.hostname)}`
  if (spec.isPrivileged === true) return 'privileged container creation is disabled'
  if (!Number.isSafeInteger(spec.graceTimeMs ?? 0) || (spec.graceTimeMs ?? 0) < 0)
    return 'the grace time is not a number of milliseconds'
  const line = (spec.env ?? []).find((entry) => entry.includes('\0') || entry.indexOf('=') < 1)
  if (line !== undefined) return `not an environment entry: ${JSON.stringify(line.slice(0, 40))}`
  return (
    bindProblem(spec) ?? netInProblem(spec.netIn ?? []) ?? netOutProblem(spec.netOut ?? []) ?? limitProblem(spec.limits)
  )
}

/** What is wrong with a process spec; null when nothing is. Pure. */
export function processProblem(spec: ProcessSpec): string | null {
  if (spec.id !== undefined && !PROCESS_ID.test(spec.id)) return `not a process id: ${JSON.stringify(spec.id)}`
  if (spec.path === '') return 'a process needs a path'
  if (spec.image === undefined && spec.bindMounts !== undefined) return 'bind mounts need an image of the process'
  const texts = [spec.path, spec.dir ?? '', spec.user ?? '', ...(spec.args ?? []), ...(spec.env ?? [])]
  if (texts.some((text) => text.includes('\0'))) return 'a process spec holds a NUL byte'
  const line = (spec.env ?? []).find((entry) => entry.indexOf('=') < 1)
  if (line !== undefined) return `not an environment entry: ${JSON.stringify(line.slice(0, 40))}`
  if (spec.image === undefined && (spec.bindMounts !== undefined || spec.limits !== undefined))
    return 'bind mounts and limits are for processes with an image of their own'
  const mounts = bindProblem(spec)
  if (mounts !== null) return mounts
  for (const [name, value] of Object.entries(spec.rlimits ?? {})) {
    if (!(name in RLIMIT_NUMBERS)) return `unknown resource limit ${name}`
    if (!Number.isSafeInteger(value) || value < 0) return `resource limit ${name} is not a whole number of at least 0`
  }
  return null
}

/** @throws InvalidSpecError */
export function refuse(problem: string | null): void {
  if (problem !== null) throw new InvalidSpecError(problem)
}
