import { CroftError } from '@croft/kit'

/** A command typed wrongly: exit code 2. */
export class UsageError extends CroftError {
  constructor(title: string, suggestion?: string) {
    super({ code: 'usage', status: 400, title, ...(suggestion !== undefined && { suggestion }) })
  }
}
