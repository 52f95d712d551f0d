import { CroftError } from '@croft/kit'

interface Issue {
  message: string
  path?: readonly (PropertyKey | { key: PropertyKey })[] | undefined
}

/** A request whose body, query or path does not have the shape the API documents. */
export class BadInput extends CroftError {
  constructor(issues: readonly Issue[]) {
    const fields: Record<string, string> = {}
    for (const issue of issues) fields[pathOf(issue) || 'body'] ??= issue.message
    super({
      code: 'bad-input',
      status: 400,
      title: 'the request is not understood',
      detail: Object.entries(fields)
        .map(([name, why]) => `${name}: ${why}`)
        .join('; '),
      fields,
      suggestion: 'see /api/v1/openapi.json for what this request takes',
    })
  }
}

function pathOf(issue: Issue): string {
  return (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
}
