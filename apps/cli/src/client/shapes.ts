import { z } from 'zod'

/** What the verbs read of the API's answers; everything else a newer platform sends is kept for `--json`. */
export const appShape = z.looseObject({
  id: z.string(),
  name: z.string(),
  team: z.string(),
  url: z.string(),
  gitUrl: z.string(),
  release: z.int().nullable(),
  settings: z.looseObject({ stack: z.string().optional() }).optional(),
  createdAt: z.string(),
})
export type AppShape = z.infer<typeof appShape>

export const psShape = z.looseObject({
  id: z.string(),
  instance: z.string(),
  type: z.string(),
  state: z.string(),
  release: z.int().nullable(),
  node: z.string().nullable(),
  address: z.string().nullable(),
  startedAt: z.string().nullable(),
  restarts: z.int(),
  cpuMillis: z.int(),
  memoryBytes: z.int(),
  memoryLimitBytes: z.int(),
})

export const formationShape = z.looseObject({ type: z.string(), quantity: z.int() })

export const releaseShape = z.looseObject({
  version: z.int(),
  status: z.string(),
  commit: z.string().nullable(),
  description: z.string(),
  author: z.string(),
  createdAt: z.string(),
  isCurrent: z.boolean(),
  message: z.string().nullable(),
  image: z.string().nullable(),
})

export const releaseInfoShape = releaseShape.extend({
  processTypes: z.record(z.string(), z.string()),
  config: z.array(z.string()),
  formation: z.record(z.string(), z.int()),
})

export const rebaseShape = z.looseObject({
  image: z.string(),
  release: z.int().nullable(),
  deployment: z.string().nullable(),
})

export const imageDeploymentShape = z.looseObject({
  image: z.string(),
  release: z.int(),
  deployment: z.string(),
  warnings: z.array(z.string()),
})

export const buildShape = z.looseObject({
  id: z.string(),
  state: z.string(),
  reason: z.string().nullable(),
  message: z.string().nullable(),
  suggestion: z.string().nullable(),
  commit: z.string(),
  image: z.string().nullable(),
  buildpacks: z.array(z.object({ id: z.string(), version: z.string(), origin: z.string().nullable() })).nullish(),
  builder: z
    .object({
      reference: z.string(),
      digest: z.string(),
      runImage: z.object({ reference: z.string(), digest: z.string() }),
    })
    .nullish(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  record: z
    .looseObject({
      steps: z.array(z.looseObject({ name: z.string(), tookMs: z.int() })),
      layers: z.array(z.looseObject({ name: z.string(), bytes: z.int(), isNew: z.boolean() })),
    })
    .nullish(),
})

export const configNameShape = z.looseObject({ name: z.string(), scope: z.string(), updatedAt: z.string() })

export const configChangeShape = z.looseObject({
  changed: z.array(z.string()),
  forInstances: z.boolean(),
  release: z.int().nullable(),
  deployment: z.string().nullable(),
})

const runtimeShape = z.looseObject({ version: z.string(), upstreamEnd: z.string().nullable() })
export const stackShape = z.looseObject({
  id: z.string(),
  name: z.string(),
  endOfSupport: z.string(),
  isExpired: z.boolean(),
  isDefault: z.boolean(),
  runtimes: z.object({ php: runtimeShape, ruby: runtimeShape, python: runtimeShape }),
  isPinned: z.boolean().optional(),
  isCurrent: z.boolean().optional(),
})
export type StackShape = z.infer<typeof stackShape>
