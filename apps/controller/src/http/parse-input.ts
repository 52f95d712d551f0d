import type { z } from 'zod'
import { BadInput } from './bad-input.js'

/** Input of an internal route as its schema says. @throws BadInput naming what is wrong */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown): z.infer<T> {
  const parsed = schema.safeParse(input)
  if (!parsed.success) throw new BadInput(parsed.error.issues)
  return parsed.data
}
