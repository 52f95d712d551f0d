import type { BindMount, ContainerSpec, ImageRef } from '../../types.js'
import {
  bool,
  compact,
  decodeOrRefuse,
  list,
  nanoseconds,
  object,
  oneOf,
  text,
  textMap,
  toNanoseconds,
  type Decoder,
} from './fields.js'
import { limits, limitsFromWire, limitsToWire } from './limits.js'
import { netIn, netInToWire, netOutRule, netOutRuleToWire } from './network.js'
import { absolutePath, envEntry, hostname, network, newHandle, path } from './rules.js'

/** Garden's ContainerSpec and ours. The Go client always sends `image` and `limits`, empty when nothing was asked. */

const MODES = ['ro', 'rw'] as const

const imageFields = object({ uri: text(), username: text(), password: text() })

/** An image without a URI is none. */
export const image: Decoder<ImageRef | 'none'> = (value, at, problems) => {
  const wire = imageFields(value, at, problems)
  if (wire === undefined) return undefined
  if (wire.uri === undefined || wire.uri === '') return 'none'
  return compact({ uri: wire.uri, username: wire.username || undefined, password: wire.password || undefined })
}
export const orNone = (found: ImageRef | 'none' | undefined): ImageRef | undefined =>
  found === 'none' ? undefined : found

const mountFields = object({
  src_path: absolutePath,
  dst_path: absolutePath,
  mode: oneOf(MODES),
  origin: oneOf(['host', 'container']),
  idmapped: bool,
  lower_paths: list(absolutePath),
  work_path: absolutePath,
})

export const bindMount: Decoder<BindMount> = (value, at, problems) => {
  const wire = mountFields(value, at, problems)
  if (wire === undefined) return undefined
  if (wire.src_path === undefined && !problems.has(`${at}.src_path`)) problems.set(`${at}.src_path`, 'is missing')
  if (wire.dst_path === undefined && !problems.has(`${at}.dst_path`)) problems.set(`${at}.dst_path`, 'is missing')
  if (wire.origin === 'container')
    problems.set(`${at}.origin`, 'must be 0 (host): only paths of the host can be mounted')
  return compact({
    srcPath: wire.src_path ?? '',
    dstPath: wire.dst_path ?? '',
    mode: wire.mode ?? 'ro',
    isIdmapped: wire.idmapped,
    lowerPaths: wire.lower_paths,
    workPath: wire.work_path,
  })
}

const specFields = object({
  handle: newHandle,
  grace_time: nanoseconds,
  rootfs: path,
  image,
  bind_mounts: list(bindMount, 1000),
  network,
  properties: textMap,
  env: list(envEntry),
  privileged: bool,
  limits,
  netout_rules: list(netOutRule),
  netin: list(netIn),
  no_new_privileges: bool,
  hostname,
})

const ifAny = <T>(values: T[] | undefined): T[] | undefined => (values?.length === 0 ? undefined : values)
const ifFilled = <T extends object>(value: T | undefined): T | undefined =>
  value === undefined || Object.keys(value).length === 0 ? undefined : value

/** @throws InvalidSpecError naming every wrong field */
export function decodeContainerSpec(json: unknown): ContainerSpec {
  return decodeOrRefuse(
    'container spec',
    (value, problems) => {
      const wire = specFields(value, '', problems)
      if (wire === undefined) return undefined
      const asked = orNone(wire.image)
      if (asked !== undefined && wire.rootfs !== undefined)
        problems.setGardenText('rootfs', 'Cannot provide both Image.URI and RootFSPath')
      return compact({
        handle: wire.handle || undefined,
        image: asked ?? (wire.rootfs === undefined ? undefined : { uri: wire.rootfs }),
        bindMounts: ifAny(wire.bind_mounts),
        network: wire.network || undefined,
        properties: ifFilled(wire.properties),
        env: ifAny(wire.env),
        isPrivileged: wire.privileged || undefined,
        limits: ifFilled(wire.limits === undefined ? undefined : limitsFromWire(wire.limits)),
        netIn: ifAny(wire.netin),
        netOut: ifAny(wire.netout_rules),
        graceTimeMs: wire.grace_time || undefined,
        noNewPrivileges: wire.no_new_privileges ?? false, // Garden's default; ours is said by our client
        hostname: wire.hostname || undefined,
      })
    },
    json,
  )
}

export function bindMountToWire(mount: BindMount): Record<string, unknown> {
  return compact({
    src_path: mount.srcPath,
    dst_path: mount.dstPath,
    mode: MODES.indexOf(mount.mode),
    origin: 0,
    idmapped: mount.isIdmapped,
    lower_paths: mount.lowerPaths,
    work_path: mount.workPath,
  })
}

export function containerSpecToWire(spec: ContainerSpec): Record<string, unknown> {
  return compact({
    handle: spec.handle,
    grace_time: spec.graceTimeMs === undefined ? undefined : toNanoseconds(spec.graceTimeMs),
    image: spec.image ?? {},
    bind_mounts: spec.bindMounts?.map(bindMountToWire),
    network: spec.network,
    properties: spec.properties,
    env: spec.env,
    privileged: spec.isPrivileged,
    limits: limitsToWire(spec.limits ?? {}),
    netout_rules: spec.netOut?.map(netOutRuleToWire),
    netin: spec.netIn?.map(netInToWire),
    no_new_privileges: spec.noNewPrivileges ?? true,
    hostname: spec.hostname,
  })
}

/** The fields of a spec that only Croft's servers know: another would ignore them without a word. */
export function extensionsOf(spec: ContainerSpec): string[] {
  const mounts = spec.bindMounts ?? []
  const asked: [string, boolean][] = [
    ['bind_mounts.idmapped', mounts.some((mount) => mount.isIdmapped === true)],
    ['bind_mounts.lower_paths', mounts.some((mount) => mount.lowerPaths !== undefined)],
    ['no_new_privileges', spec.noNewPrivileges !== undefined],
    ['hostname', spec.hostname !== undefined],
    ['limits.cpu_limits.quota_millis', (spec.limits?.cpu?.quotaMillis ?? 0) > 0],
    ['limits.io_limits', spec.limits?.io !== undefined],
  ]
  return asked.filter(([, isAsked]) => isAsked).map(([name]) => name)
}
