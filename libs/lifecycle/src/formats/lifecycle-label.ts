import { z } from 'zod'
import { isDigest, type Digest } from '@croft/kit'
import { freeTable } from './toml.js'

/** The label by which the next build knows what this image is made of. */
export const LIFECYCLE_LABEL = 'io.buildpacks.lifecycle.metadata'

const diffId = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a sha256 digest')
const shaSchema = z.object({ sha: diffId })
const layerSchema = z.object({
  sha: diffId.optional(),
  data: freeTable.optional(),
  build: z.boolean().default(false),
  launch: z.boolean().default(false),
  cache: z.boolean().default(false),
})
export const lifecycleLabelSchema = z.object({
  app: z.array(shaSchema).default([]),
  sbom: shaSchema.optional(),
  config: shaSchema.optional(),
  launcher: shaSchema.optional(),
  'process-types': shaSchema.optional(),
  buildpacks: z
    .array(
      z.object({
        key: z.string(),
        version: z.string(),
        layers: z.record(z.string(), layerSchema).default({}),
        store: z.object({ metadata: freeTable }).nullish(),
      }),
    )
    .default([]),
  runImage: z
    .object({
      topLayer: diffId,
      reference: z.string(),
      image: z.string().optional(),
      mirrors: z.array(z.string()).optional(),
    })
    .optional(),
  /** The run image again, where tools of older platforms look for it. */
  stack: z.object({ runImage: z.object({ image: z.string(), mirrors: z.array(z.string()).optional() }) }).optional(),
})
export type LifecycleLabel = z.infer<typeof lifecycleLabelSchema>
export type LayerRecord = z.infer<typeof layerSchema>

/** The label of a former image, or null when it has none that can be read: then nothing is restored. */
export function parseLifecycleLabel(text: string | undefined): LifecycleLabel | null {
  if (text === undefined) return null
  try {
    const parsed = lifecycleLabelSchema.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}
