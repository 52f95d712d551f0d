/** Reads JSON that people write, and tells where in it something is. Pure. */

/** A document that cannot be used: which line (counted from 1) breaks which rule. */
export class JsonProblem extends Error {
  constructor(
    readonly line: number,
    readonly rule: string,
  ) {
    super(`line ${line}: ${rule}`)
    this.name = 'JsonProblem'
  }
}

/** Parses a document, with or without a byte order mark. @throws JsonProblem */
export function readJson(text: string): unknown {
  const plain = text.replace(/^\uFEFF/, '')
  try {
    return JSON.parse(plain)
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    const rule = said.replace(/ (?:in JSON )?at position .*$/s, '').replace(/, [^]* is not valid JSON$/, '')
    const at = Math.min(new Scanner(plain).brokenAt(), plain.trimEnd().length) // where it ends too early, on its last line
    throw new JsonProblem(lineAt(plain, at), `not JSON: ${rule.replace(/\s+/g, ' ')}`)
  }
}

/**
 * The line on which the member at a path is written: its name, or, of an entry of a list, its value. Where the document does not have
 * the member, the line of the last one on the way to it that it has; line 1 when there is none. The text must be JSON.
 */
export function lineOfMember(text: string, path: readonly PropertyKey[]): number {
  const plain = text.replace(/^\uFEFF/, '')
  return lineAt(plain, new Scanner(plain).find(path))
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** What is no JSON, by where it is. */
class Broken extends Error {
  constructor(readonly at: number) {
    super(`no JSON at ${at}`)
  }
}

const MAX_DEPTH = 500
const LITERAL = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
// JSON has none in a string
// oxlint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SPACE = /[ \t\r\n]*/y

/** Walks over a JSON text. */
class Scanner {
  #at = 0
  #depth = 0

  constructor(private readonly text: string) {}

  /** The offset of the member at `path`; of what is no JSON, or nested too deep to be looked at, where that stands before it. */
  find(path: readonly PropertyKey[]): number {
    try {
      this.#take(SPACE)
      return this.#value(path, this.#at)
    } catch (error) {
      if (error instanceof Broken) return error.at
      throw error
    }
  }

  /** The offset of what is no JSON; the end when all of it is. */
  brokenAt(): number {
    const nowhere = Symbol('no member')
    const at = this.find([nowhere])
    this.#take(SPACE)
    return Math.max(at, this.#at)
  }

  /** Passes over a value; gives the offset of the member at `path` in it, or of the nearest above, which begins at `from`. */
  #value(path: readonly PropertyKey[] | null, from: number): number {
    this.#take(SPACE)
    const first = this.text[this.#at]
    if (first === '{') return this.#members(path, from, '}')
    if (first === '[') return this.#members(path, from, ']')
    this.#take(first === '"' ? STRING : LITERAL)
    return from
  }

  #members(path: readonly PropertyKey[] | null, from: number, end: '}' | ']'): number {
    let found = from
    this.#depth += 1
    if (this.#depth > MAX_DEPTH) throw new Broken(this.#at)
    this.#at += 1
    this.#take(SPACE)
    if (this.#takes(end)) return this.#leave(found)
    for (let index = 0; ; index += 1) {
      this.#take(SPACE)
      const start = this.#at
      const name = end === '}' ? this.#name() : index
      const isMeant = path !== null && path.length > 0 && String(path[0]) === String(name)
      const inner = this.#value(isMeant ? path.slice(1) : null, start)
      if (isMeant) found = inner // of members of one name the last one counts
      this.#take(SPACE)
      if (this.#takes(end)) return this.#leave(found)
      if (!this.#takes(',')) throw new Broken(this.#at)
    }
  }

  #leave(found: number): number {
    this.#depth -= 1
    return found
  }

  /** The name of a member, and past the colon. */
  #name(): string {
    const name: unknown = JSON.parse(this.#take(STRING))
    this.#take(SPACE)
    if (!this.#takes(':')) throw new Broken(this.#at)
    return String(name)
  }

  #takes(char: string): boolean {
    if (this.text[this.#at] !== char) return false
    this.#at += 1
    return true
  }

  /** @throws Broken where the text goes on otherwise */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [found] = pattern.exec(this.text) ?? []
    if (found === undefined) throw new Broken(this.#at)
    this.#at += found.length
    return found
  }
}
