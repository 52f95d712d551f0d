import { parse, stringify } from 'smol-toml'
import { z } from 'zod'
import { messageOf } from '@croft/kit'
import { LifecycleError } from '../errors.js'

/** Reads a TOML document against a schema. `what` names the file in the error. @throws LifecycleError */
export function readToml<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let document: unknown
  try {
    document = parse(text, { integersAsBigInt: 'asNeeded' })
  } catch (error) {
    const line = messageOf(error).split('\n')[0] ?? ''
    throw new LifecycleError('buildpack', `${what} is not TOML: ${line}`, 'fix the buildpack that wrote it', error)
  }
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`
  throw new LifecycleError(
    'buildpack',
    `${what} is not valid${where}: ${issue?.message ?? ''}`,
    'fix the buildpack that wrote it',
  )
}

/** Writes a TOML document; members that are undefined are left out. */
export function writeToml(document: Record<string, unknown>): string {
  return `${stringify(document)}\n`
}

/** A table whose content is the buildpack's own. */
export const freeTable = z.record(z.string(), z.unknown())
