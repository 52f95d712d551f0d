import { SetMetadata, type CustomDecorator } from '@nestjs/common'
import type { z } from 'zod'

export const ANSWERS = 'croft:answers'

/** What a route answers with on success, for the OpenAPI document. */
export function Answers(schema: z.ZodType): CustomDecorator {
  return SetMetadata(ANSWERS, schema)
}
