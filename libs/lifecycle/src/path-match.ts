/**
 * Shell patterns over one path, as `launch.toml` means them: `*` and `?` never match a slash, `[a-z]` and `[^a-z]` stand for one
 * character, a backslash takes the next character as it is. The whole path has to match. Linear in pattern times path. Pure.
 */

/** A pattern that is malformed. */
export class BadPattern extends Error {
  constructor(pattern: string) {
    super(`not a pattern: ${pattern}`)
  }
}

type Token =
  | { kind: 'star' }
  | { kind: 'any' }
  | { kind: 'char'; char: string }
  | { kind: 'set'; ranges: [from: number, to: number][]; isNegated: boolean }

/** Whether `path` as a whole matches `pattern`. @throws BadPattern */
export function matchPath(pattern: string, path: string): boolean {
  return pathMatcher(pattern)(path)
}

/** The decision for many paths. @throws BadPattern at once, not at the first path */
export function pathMatcher(pattern: string): (path: string) => boolean {
  const tokens = tokensOf(pattern)
  return (path) => matches(tokens, Array.from(path))
}

function matches(tokens: readonly Token[], chars: readonly string[]): boolean {
  let at = 0
  let char = 0
  let star = -1
  let resume = 0
  while (char < chars.length) {
    const token = tokens[at]
    if (token?.kind === 'star') {
      star = at
      resume = char
      at += 1
    } else if (token !== undefined && matchesChar(token, chars[char] ?? '')) {
      at += 1
      char += 1
    } else if (star >= 0 && chars[resume] !== '/') {
      // The last star takes one character more; earlier ones never have to.
      resume += 1
      char = resume
      at = star + 1
    } else return false
  }
  return tokens.slice(at).every(({ kind }) => kind === 'star')
}

function matchesChar(token: Token, char: string): boolean {
  switch (token.kind) {
    case 'star':
      return false
    case 'any':
      return char !== '/'
    case 'char':
      return token.char === char
    case 'set': {
      const code = char.codePointAt(0) ?? 0
      return char !== '/' && token.ranges.some(([from, to]) => from <= code && code <= to) !== token.isNegated
    }
  }
}

function tokensOf(pattern: string): Token[] {
  const chars = Array.from(pattern)
  const tokens: Token[] = []
  let at = 0
  const literal = (): string => {
    if (chars[at] === '\\') at += 1
    const char = chars[at]
    if (char === undefined) throw new BadPattern(pattern)
    at += 1
    return char
  }
  while (at < chars.length) {
    const char = chars[at]
    if (char === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' })
      at += 1
    } else if (char === '?') {
      tokens.push({ kind: 'any' })
      at += 1
    } else if (char === '[') {
      at += 1
      const isNegated = chars[at] === '^'
      if (isNegated) at += 1
      const ranges: [number, number][] = []
      while (chars[at] !== ']' || ranges.length === 0) {
        if (chars[at] === '-' || chars[at] === ']') throw new BadPattern(pattern)
        const from = literal()
        if (chars[at] === '-') {
          at += 1
          if (chars[at] === '-' || chars[at] === ']') throw new BadPattern(pattern)
          ranges.push([from.codePointAt(0) ?? 0, literal().codePointAt(0) ?? 0])
        } else ranges.push([from.codePointAt(0) ?? 0, from.codePointAt(0) ?? 0])
        if (at >= chars.length) throw new BadPattern(pattern)
      }
      at += 1
      tokens.push({ kind: 'set', ranges, isNegated })
    } else tokens.push({ kind: 'char', char: literal() })
  }
  return tokens
}

/** Whether a pattern is well-formed. */
export function isPattern(pattern: string): boolean {
  try {
    pathMatcher(pattern)
    return true
  } catch (error) {
    if (error instanceof BadPattern) return false
    throw error
  }
}
