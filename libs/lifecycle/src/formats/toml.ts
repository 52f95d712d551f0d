import { parse, stringify, TomlError } from 'smol-toml'
import { z } from 'zod'
import { messageOf } from '@croft/kit'
import { LifecycleError } from '../errors.js'

/** A document that cannot be used: which line (counted from 1) breaks which rule. */
export class TomlProblem extends Error {
  constructor(
    readonly line: number | null,
    readonly rule: string,
  ) {
    super(line === null ? rule : `line ${line}: ${rule}`)
  }
}

/** Reads a TOML document against a schema. Pure. @throws TomlProblem */
export function checkToml<T>(schema: z.ZodType<T>, text: string): T {
  let document: unknown
  try {
    document = parse(text, { integersAsBigInt: 'asNeeded' })
  } catch (error) {
    const line = error instanceof TomlError ? error.line : null
    throw new TomlProblem(
      line,
      `not TOML: ${(messageOf(error).split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '')}`,
    )
  }
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const path = issue?.path ?? []
  const where = path.length === 0 ? '' : `${path.join('.')}: `
  throw new TomlProblem(lineOf(text, path), `${where}${issue?.message ?? 'not valid'}`)
}

/** Reads a file that a buildpack wrote. `what` names it in the error. @throws LifecycleError of phase build */
export function readToml<T>(schema: z.ZodType<T>, text: string, what: string): T {
  try {
    return checkToml(schema, text)
  } catch (error) {
    if (!(error instanceof TomlProblem)) throw error
    throw new LifecycleError('build', `${what}, ${error.message}`, 'fix the buildpack that wrote it', { cause: error })
  }
}

/** The line on which the last member of a path that the document names is written; null when none of them is. */
function lineOf(text: string, path: readonly PropertyKey[]): number | null {
  const lines = text.split('\n')
  const names = path.filter((part) => typeof part === 'string')
  const index = path.findLast((part) => typeof part === 'number') ?? 0
  for (const name of names.toReversed()) {
    const escaped = name.replaceAll(/[^\w-]/g, (char) => `\\${char}`)
    const key = new RegExp(`^\\s*(\\[\\[?[^\\]]*\\b${escaped}\\s*\\]|"?${escaped}"?\\s*[=.])`)
    const found = lines.flatMap((line, at) => (key.test(line) ? [at + 1] : []))
    const line = found[index] ?? found.at(-1)
    if (line !== undefined) return line
  }
  return null
}

/** Writes a TOML document; members that are undefined are left out. */
export function writeToml(document: Record<string, unknown>): string {
  return `${stringify(document)}\n`
}

/** A table whose content is the buildpack's own. */
export const freeTable = z.record(z.string(), z.unknown())
