import type { ProcessSpec, Rlimit } from '../../types.js'
import { bindMount, bindMountToWire, image, orNone } from './container-spec.js'
import { compact, decodeOrRefuse, integer, list, object, text, uint64, type Decoder } from './fields.js'
import { cpuLimits, cpuToWire, limitsFromWire, memoryLimits } from './limits.js'
import { envEntry, newProcessId, path } from './rules.js'

/** Garden's ProcessSpec and ours. The Go client always sends `image` and `rlimits`, empty when nothing was asked. */

const RLIMITS = [
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'sigpending',
  'stack',
] as const satisfies readonly Rlimit[]

const MAX_CELLS = 65_535

export const windowSize = object({ columns: integer(0, MAX_CELLS), rows: integer(0, MAX_CELLS) })
export const ttyFields = object({ window_size: windowSize })

/** The size a window frame or a spec asks for; null when it names none. */
export function sizeOf(tty: NonNullable<ReturnType<typeof ttyFields>>): { columns: number; rows: number } | null {
  const { columns, rows } = tty.window_size ?? {}
  return columns && rows ? { columns, rows } : null
}

const specFields = object({
  id: newProcessId,
  path,
  args: list(text(), 100_000),
  env: list(envEntry),
  dir: text(),
  user: text(),
  rlimits: object(Object.fromEntries(RLIMITS.map((name) => [name, uint64])) as Record<Rlimit, Decoder<number>>),
  limits: object({ cpu_limits: cpuLimits, memory_limits: memoryLimits }),
  tty: ttyFields,
  image,
  bind_mounts: list(bindMount, 1000),
})

/** @throws InvalidSpecError naming every wrong field */
export function decodeProcessSpec(json: unknown): ProcessSpec {
  return decodeOrRefuse(
    'process spec',
    (value, problems) => {
      const wire = specFields(value, '', problems)
      if (wire === undefined) return undefined
      if (wire.path === undefined && !problems.has('path')) problems.set('path', 'is missing')
      const own = orNone(wire.image)
      if (own === undefined && (wire.bind_mounts?.length ?? 0) > 0)
        problems.setGardenText('bind_mounts', 'Running a process with bind mounts and no image provided is not allowed')
      const { rlimits, tty } = wire
      return compact({
        id: wire.id || undefined,
        path: wire.path ?? '',
        args: wire.args?.length === 0 ? undefined : wire.args,
        env: wire.env?.length === 0 ? undefined : wire.env,
        dir: wire.dir || undefined,
        user: wire.user || undefined,
        rlimits: rlimits === undefined || Object.keys(rlimits).length === 0 ? undefined : rlimits,
        tty: tty === undefined ? undefined : (sizeOf(tty) ?? (true as const)),
        image: own,
        bindMounts: wire.bind_mounts?.length === 0 ? undefined : wire.bind_mounts,
        // without an image of its own a process shares the container's limits, whatever is asked
        limits: own === undefined || wire.limits === undefined ? undefined : limitsFromWire(wire.limits),
      })
    },
    json,
  )
}

export function processSpecToWire(spec: ProcessSpec): Record<string, unknown> {
  const { limits, tty } = spec
  return compact({
    id: spec.id,
    path: spec.path,
    args: spec.args,
    env: spec.env,
    dir: spec.dir,
    user: spec.user,
    rlimits: spec.rlimits ?? {},
    limits:
      limits === undefined
        ? undefined
        : compact({
            cpu_limits: limits.cpu === undefined ? undefined : cpuToWire(limits.cpu),
            memory_limits: limits.memory === undefined ? undefined : { limit_in_bytes: limits.memory.limitBytes },
          }),
    tty: tty === undefined ? undefined : tty === true ? {} : { window_size: tty },
    image: spec.image ?? {},
    bind_mounts: spec.bindMounts?.map(bindMountToWire),
  })
}
