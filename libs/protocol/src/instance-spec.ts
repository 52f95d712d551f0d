import { z } from 'zod'

/** Limits of one instance; a build's come from the same shape. */
export const instanceLimitsSchema = z.object({
  memoryBytes: z.int().positive(),
  cpuShares: z.int().positive(),
  /** Millicores; null = no quota. */
  cpuQuotaMillis: z.int().positive().nullable(),
  pids: z.int().positive(),
  /** Writable disk, bytes; never unlimited. */
  diskBytes: z.int().positive(),
})
export type InstanceLimits = z.infer<typeof instanceLimitsSchema>

/** How the executor decides that a service instance is ready; always tried from outside the container. */
export const healthCheckSchema = z.discriminatedUnion('kind', [
  /** No port: ready once the process has run `uptimeMs`. */
  z.object({ kind: z.literal('uptime'), uptimeMs: z.int().nonnegative() }),
  /** The port accepts a TCP connection. */
  z.object({ kind: z.literal('port'), intervalMs: z.int().positive(), timeoutMs: z.int().positive() }),
  /** GET `path` answers 200–399. */
  z.object({
    kind: z.literal('http'),
    path: z.string().startsWith('/'),
    intervalMs: z.int().positive(),
    timeoutMs: z.int().positive(),
  }),
])
export type HealthCheck = z.infer<typeof healthCheckSchema>

/** A long-running process of an app's release. */
export const serviceSpecSchema = z.object({
  kind: z.literal('service'),
  /** Manifest digest; fetched as `/v2/<app id>/manifests/<digest>`. */
  image: z.string(),
  /** What is executed inside: argv, e.g. `["/cnb/process/web"]`. */
  command: z.array(z.string()).min(1),
  /** `name`, `uid` or `uid:gid` inside; default: the user of Croft's own images. */
  user: z.string().optional(),
  /** Where it starts; default: the app's folder in Croft's own images. */
  dir: z.string().optional(),
  env: z.record(z.string(), z.string()),
  /** Port the app is told to listen on, null for types without traffic. */
  port: z.int().min(1).max(65535).nullable(),
  health: healthCheckSchema,
  limits: instanceLimitsSchema,
  /** Between SIGTERM and SIGKILL. */
  graceMs: z.int().nonnegative(),
  /** Not ready after this long counts as a crash. */
  bootTimeoutMs: z.int().positive(),
})
export type ServiceSpec = z.infer<typeof serviceSpecSchema>

/** One build: the executor fetches `GET /v1/builds/<id>/source` (tar) and appends to `/v1/builds/<id>/log`. */
export const buildSpecSchema = z.object({
  kind: z.literal('build'),
  buildId: z.uuid(),
  /** e.g. `debian-12`. */
  stack: z.string(),
  /** The manifest digest of the app's newest image, for analyze; null on a first build. */
  previousImage: z.string().nullable(),
  /** Build-time environment (user env of the platform directory). */
  env: z.record(z.string(), z.string()),
  limits: instanceLimitsSchema,
  timeoutMs: z.int().positive(),
  /** Without restored layers and caches. */
  isClean: z.boolean(),
  /** Nothing is built: `previousImage` gets the present base image of its stack. */
  isRebase: z.boolean().optional(),
  /** Git commit, for labels. */
  commit: z.string(),
})
export type BuildSpec = z.infer<typeof buildSpecSchema>

export const instanceSpecSchema = z.discriminatedUnion('kind', [serviceSpecSchema, buildSpecSchema])
export type InstanceSpec = z.infer<typeof instanceSpecSchema>

/** `run → drain → stop`, written by the reconciler only. */
export const intentSchema = z.enum(['run', 'drain', 'stop'])
export type Intent = z.infer<typeof intentSchema>

/** One item of a node's desired set. */
export const desiredInstanceSchema = z.object({
  id: z.uuid(),
  intent: intentSchema,
  teamId: z.uuid(),
  appId: z.uuid(),
  appName: z.string(),
  /** Process type, `web`; `build` for builds. */
  type: z.string(),
  /** Slot number from 1; with the type it makes the name `web.1`. */
  slot: z.int().positive(),
  releaseVersion: z.int().nullable(),
  spec: instanceSpecSchema,
})
export type DesiredInstance = z.infer<typeof desiredInstanceSchema>

/** A stream somebody waits for: the executor dials back one websocket `/v1/streams/<streamId>` on the node socket for it. */
export const desiredStreamSchema = z.object({
  streamId: z.uuid(),
  kind: z.literal('logs'),
  appId: z.uuid(),
  /** Only this instance name (`web.1`) or type (`web`); null = all. */
  filter: z.string().nullable(),
  /** How many of the newest kept lines come first. */
  lines: z.int().nonnegative(),
  isFollowing: z.boolean(),
})
export type DesiredStream = z.infer<typeof desiredStreamSchema>

/** One message of a `logs` websocket, JSON text. The stream ends by closing the socket with code 1000. */
export const logLineSchema = z.object({
  at: z.iso.datetime(),
  /** `web.1`. */
  instance: z.string(),
  stream: z.enum(['stdout', 'stderr', 'system']),
  line: z.string(),
})
export type LogLine = z.infer<typeof logLineSchema>
