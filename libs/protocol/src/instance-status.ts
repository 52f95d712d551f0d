import { z } from 'zod'

export const observedSchema = z.enum(['creating', 'starting', 'ready', 'unready', 'backoff', 'exited'])
export type Observed = z.infer<typeof observedSchema>

/** Why an instance is not (or no longer) ready; null while all is well. */
export const instanceReasonSchema = z.enum([
  'image',
  'create-failed',
  'command-not-found',
  'crashed',
  'out-of-memory',
  'boot-timeout',
  /** The process runs but nothing accepts on the port. */
  'port-closed',
  /** Something listens on the port, but only on 127.0.0.1 inside the container. */
  'port-on-loopback',
  /** It listens, but on another port (named in the message). */
  'port-wrong',
  /** The HTTP check was answered with a wrong status, or not in time. */
  'check-failed',
  'canceled',
])
export type InstanceReason = z.infer<typeof instanceReasonSchema>

export const processTypeSchema = z.object({
  /** What a person reads: `node server.js`. */
  command: z.string(),
  /** What the executor runs. */
  argv: z.array(z.string()).min(1),
  /** `name`, `uid` or `uid:gid` inside; default: the user of Croft's own images. */
  user: z.string().optional(),
  /** Where it starts; default: the app's folder in Croft's own images. */
  dir: z.string().optional(),
  /** Where it listens, of a type with traffic; default 8080. */
  port: z.int().min(1).max(65535).optional(),
})
export type ProcessType = z.infer<typeof processTypeSchema>

/** How a build went and what it made; for whoever asks later. */
export const buildRecordSchema = z.object({
  /** In the order they ended. */
  steps: z.array(z.object({ name: z.string(), tookMs: z.int() })),
  /** Compressed, from the stack up; `name` says what is in it. */
  layers: z.array(z.object({ name: z.string(), digest: z.string(), bytes: z.int(), isNew: z.boolean() })),
})
export type BuildRecord = z.infer<typeof buildRecordSchema>

const pinnedImageSchema = z.object({ reference: z.string(), digest: z.string() })

/** A builder image that built, and the run image that what it built stands on, as they were named and what they were. */
export const usedBuilderSchema = pinnedImageSchema.extend({ runImage: pinnedImageSchema })
export type UsedBuilder = z.infer<typeof usedBuilderSchema>

/** What a finished build instance reports. */
export const buildResultSchema = z.discriminatedUnion('outcome', [
  z.object({
    outcome: z.literal('succeeded'),
    image: z.string(),
    /** Absent: buildpacks. The processes of an image that a Dockerfile made are those the image itself says. */
    builder: z.enum(['buildpacks', 'dockerfile']).optional(),
    processTypes: z.record(z.string(), processTypeSchema),
    newLayers: z.int(),
    newBytes: z.int(),
    /** Config vars the app needs and gets a random value of, once: keys that sign sessions. */
    generatedConfig: z.array(z.string()).max(10).optional(),
    /** What built it, in order; `origin` tells where the files of one come from, with their commit or digest. */
    buildpacks: z.array(z.object({ id: z.string(), version: z.string(), origin: z.string().nullable() })).optional(),
    /** Absent: it was built on a stack of Croft's. */
    builderImage: usedBuilderSchema.optional(),
    record: buildRecordSchema.optional(),
  }),
  z.object({
    outcome: z.literal('failed'),
    reason: z.enum([
      'source',
      'no-buildpack',
      'buildpack',
      'export',
      'timeout',
      'out-of-memory',
      'interrupted',
      'internal',
    ]),
    /** One cause line for the person who pushed. */
    message: z.string(),
    /** One line: what to try. */
    suggestion: z.string(),
  }),
])
export type BuildResult = z.infer<typeof buildResultSchema>

/** What the executor says of one instance. */
export const instanceStatusSchema = z.object({
  id: z.uuid(),
  observed: observedSchema,
  /** `ip:port`, given at the first placement, the same for the instance's whole life; null for types without traffic. */
  address: z.string().nullable(),
  /** Handle of the present container, `<id>-<n>`. */
  handle: z.string().nullable(),
  /** Crashes since it was placed. */
  restarts: z.int(),
  /** When the present process started. */
  startedAt: z.iso.datetime().nullable(),
  /** In backoff: when it starts again. */
  nextStartAt: z.iso.datetime().nullable(),
  /** The last end of its process. */
  exit: z
    .object({ code: z.int(), signal: z.int().nullable(), isOutOfMemory: z.boolean(), at: z.iso.datetime() })
    .nullable(),
  reason: instanceReasonSchema.nullable(),
  /** One line for a person. */
  message: z.string().nullable(),
  /** Crashes before it was ever ready, since it was placed: the deployment fails at 3. */
  crashesBeforeReady: z.int(),
  /** Its last output lines when it crashed before it was ever ready, at most 20. */
  lastLines: z.array(z.string()),
  cpuMillis: z.int(),
  memoryBytes: z.int(),
  build: buildResultSchema.nullable(),
})
export type InstanceStatus = z.infer<typeof instanceStatusSchema>

/** `PUT /v1/nodes/:id/status`: renews the lease; `statuses` only when `statusHash` changed or the controller answered 409 `send-full`. */
export const nodeReportSchema = z.object({
  bootId: z.string(),
  /** Revision of the desired set that has been applied. */
  epoch: z.string().nullable(),
  appliedRevision: z.int(),
  capacity: z.object({
    memoryBytes: z.int(),
    /** What the kernel could give to somebody now; absent from executors that do not say. */
    availableMemoryBytes: z.int().optional(),
    diskBytes: z.int(),
    cpuMillis: z.int(),
    maxInstances: z.int(),
  }),
  statusHash: z.string(),
  statuses: z.array(instanceStatusSchema).optional(),
})
export type NodeReport = z.infer<typeof nodeReportSchema>

/** `POST /v1/nodes`: idempotent by `name`; the local node joins over the unix socket without a token. */
export const nodeJoinSchema = z.object({
  name: z.string(),
  bootId: z.string(),
  /** Ranges this host routes already: the controller picks another. */
  takenNetworks: z.array(z.string()),
})
export type NodeJoin = z.infer<typeof nodeJoinSchema>
export const nodeJoinedSchema = z.object({
  nodeId: z.uuid(),
  /** The node's /20, e.g. `10.192.0.0/20`; the same on every join unless the host clashes with it. */
  network: z.string(),
})
export type NodeJoined = z.infer<typeof nodeJoinedSchema>
