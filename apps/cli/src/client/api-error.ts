import { CroftError } from '@croft/kit'
import { z } from 'zod'

const problemSchema = z.object({
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  suggestion: z.string().optional(),
  requestId: z.string().optional(),
  fields: z.record(z.string(), z.string()).optional(),
})

/** A refusal of the platform, with the id under which its log has it. */
export class ApiError extends CroftError {
  readonly requestId: string | undefined

  constructor(problem: z.infer<typeof problemSchema>) {
    super({
      code: problem.code,
      status: problem.status,
      title: problem.title,
      kind: 'user',
      ...(problem.detail !== undefined && { detail: problem.detail }),
      ...(problem.suggestion !== undefined && { suggestion: problem.suggestion }),
      ...(problem.fields !== undefined && { fields: problem.fields }),
    })
    this.requestId = problem.requestId
  }
}

/** Nothing answers where the platform should be, or it is not the platform that answers. */
export class PlatformUnreachable extends CroftError {
  constructor(url: string, why: string, cause?: unknown) {
    super({
      code: 'platform-unreachable',
      status: 503,
      title: `the platform at ${url} does not answer`,
      detail: why,
      suggestion: './croft status says what runs; ./croft up starts it',
      cause,
    })
  }
}

/** The failure an answer other than 2xx stands for; an error page of the router is told apart by its header. */
export function apiErrorOf(url: string, status: number, routerCode: string | undefined, body: string): CroftError {
  if (routerCode !== undefined) return new PlatformUnreachable(url, `its router answered ${status} ${routerCode}`)
  const problem = problemSchema.safeParse(parseJson(body))
  if (problem.success) return new ApiError(problem.data)
  return new PlatformUnreachable(url, `something else answered ${status} there`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
