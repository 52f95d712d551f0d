import { z } from 'zod'

/** `<home>/buildpacks/<name>.json`: a buildpack that an operator added, its files in the folder `<name>` beside it. */
export const addedBuildpackSchema = z.object({
  id: z.string(),
  version: z.string(),
  /** Of the tar of its files, owners and times aside. */
  digest: z.string(),
  /** Teams whose apps may use it; null: all. */
  teams: z.array(z.string()).nullable(),
  addedAt: z.iso.datetime(),
})
export type AddedBuildpack = z.infer<typeof addedBuildpackSchema>
