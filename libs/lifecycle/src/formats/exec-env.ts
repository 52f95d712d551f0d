import { z } from 'zod'

/** A list of execution environments. The specification writes it as names here and as tables there: both are read. */
export const execEnvSchema = z
  .array(z.union([z.string(), z.object({ name: z.string() }).transform(({ name }) => name)]))
  .default([])
