import { z } from 'zod'
import { buildReachSchema } from './build-reach.js'

/** A buildpack as an app's source or its settings name it. */
export const wishedBuildpackSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('installed'), id: z.string(), version: z.string().nullable() }),
  z.object({ kind: z.literal('git'), url: z.string(), ref: z.string().nullable() }),
  z.object({ kind: z.literal('folder'), path: z.string() }),
  z.object({
    kind: z.literal('inline'),
    id: z.string(),
    api: z.string(),
    shell: z.string(),
    script: z.string(),
  }),
])
export type WishedBuildpack = z.infer<typeof wishedBuildpackSchema>

/** What an app wants of its build: `GET /v1/builds/<id>/wishes` on the node socket. */
export const buildWishesSchema = z.object({
  /** The buildpacks to use, in this order; null: the platform's own order. */
  group: z.array(wishedBuildpackSchema).nullable(),
  /** Where that is written, for people: `.buildpacks`. */
  from: z.string(),
  /** Put before and behind every group. */
  pre: z.array(wishedBuildpackSchema),
  post: z.array(wishedBuildpackSchema),
  /** The text of the app's Dockerfile when that is built; absent: buildpacks build. */
  dockerfile: z.string().optional(),
  /** Reference of the builder image whose buildpacks build, on its own images; absent: Croft's, on its stacks. */
  builder: z.string().optional(),
  /** Build-time variables of the source; those of the app win. */
  env: z.record(z.string(), z.string()),
  /** Name of the team whose app it is. */
  team: z.string(),
  /** Addresses at or below which buildpacks may be fetched; `https://`: any. */
  sources: z.array(z.string()),
  /** How builds reach package registries; absent: as the host does. */
  reach: buildReachSchema.optional(),
})
export type BuildWishes = z.infer<typeof buildWishesSchema>
