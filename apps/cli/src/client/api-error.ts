import { CroftError } from '@croft/kit'

/** What the platform's API says of a refusal. */
export interface Problem {
  title: string
  status: number
  code: string
  detail?: string | undefined
  suggestion?: string | undefined
  requestId?: string | undefined
  fields?: Record<string, string> | undefined
  /** When it may be asked again, from its header, s. */
  retryAfterS?: number | undefined
}

/** A refusal of the platform, with the id under which its log has it. */
export class ApiError extends CroftError {
  readonly requestId: string | undefined

  constructor(problem: Problem) {
    super({
      code: problem.code,
      status: problem.status,
      title: problem.title,
      kind: 'user',
      ...(problem.detail !== undefined && { detail: problem.detail }),
      ...(problem.suggestion !== undefined && { suggestion: problem.suggestion }),
      ...(problem.fields !== undefined && { fields: problem.fields }),
      ...(problem.retryAfterS !== undefined && { retryAfterS: problem.retryAfterS }),
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
