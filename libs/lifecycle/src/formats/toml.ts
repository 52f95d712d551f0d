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
  throw new TomlProblem(lineInToml(text, path), `${where}${issue?.message ?? 'not valid'}`)
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

/**
 * The line on which the member at a path is written; of one that is not there the line of the last member or table on the way to it that
 * is. Null when none is.
 */
export function lineInToml(text: string, path: readonly PropertyKey[]): number | null {
  const lines = linesOfMembers(text)
  for (let length = path.length; length > 0; length -= 1) {
    const line = lines.get(keyOf(path.slice(0, length)))
    if (line !== undefined) return line
  }
  return null
}

const keyOf = (path: readonly PropertyKey[]): string => JSON.stringify(path.map(String))
const PART = /"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+/
const HEADER = new RegExp(`^\\s*(\\[\\[?)\\s*(${PART.source}(?:\\s*\\.\\s*(?:${PART.source}))*)\\s*\\]`)
const MEMBER = new RegExp(`^\\s*(${PART.source}(?:\\s*\\.\\s*(?:${PART.source}))*)\\s*=`)

/** Where tables and members begin, by their paths. What stands inside a value of several lines is not looked at. */
function linesOfMembers(text: string): Map<string, number> {
  const lines = new Map<string, number>()
  const counts = new Map<string, number>()
  let table: PropertyKey[] = []
  let fence: string | null = null
  for (const [at, line] of text.split('\n').entries()) {
    if (fence !== null) {
      if (line.includes(fence)) fence = null
      continue
    }
    const [, bracket, name] = HEADER.exec(line) ?? []
    if (name !== undefined) {
      table = tableOf(partsOf(name), bracket === '[[', counts)
      lines.set(keyOf(table), at + 1)
      const list = keyOf(table.slice(0, -1))
      if (bracket === '[[' && !lines.has(list)) lines.set(list, at + 1)
      continue
    }
    const member = MEMBER.exec(line)?.[1]
    if (member !== undefined) lines.set(keyOf([...table, ...partsOf(member)]), at + 1)
    fence = ['"""', "'''"].find((mark) => line.split(mark).length % 2 === 0) ?? null
  }
  return lines
}

/** The path of a table, with the index of each list on the way to it: the last entry is meant, or a new one begins. */
function tableOf(parts: readonly string[], isEntry: boolean, counts: Map<string, number>): PropertyKey[] {
  let path: PropertyKey[] = []
  for (const [at, part] of parts.entries()) {
    path = [...path, part]
    const key = keyOf(path)
    if (isEntry && at === parts.length - 1) counts.set(key, (counts.get(key) ?? -1) + 1)
    const index = counts.get(key)
    if (index !== undefined) path = [...path, index]
  }
  return path
}

function partsOf(name: string): string[] {
  const found = name.matchAll(new RegExp(PART.source, 'g'))
  return [...found].map(([part]) => part.replace(/^(["'])([^]*)\1$/, '$2'))
}

/** Writes a TOML document; members that are undefined are left out. */
export function writeToml(document: Record<string, unknown>): string {
  return `${stringify(document)}\n`
}

/** A table whose content is the buildpack's own. */
export const freeTable = z.record(z.string(), z.unknown())
