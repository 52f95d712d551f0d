/**
 * `.croftignore`: which files of a commit are no part of an app's source; the patterns of `.gitignore`. Pushed by anybody, so
 * no pattern becomes a regular expression: matching costs at most pattern times path. Pure.
 */

export type IsIgnored = (path: string, isFolder: boolean) => boolean

interface Rule {
  /** One list of tokens for each component; null is `**`. */
  components: (Token[] | null)[]
  isNegated: boolean
  foldersOnly: boolean
}

type Token =
  | { kind: 'star' }
  | { kind: 'any' }
  | { kind: 'char'; char: string }
  | { kind: 'set'; ranges: [string, string][]; isNegated: boolean }

const MAX_RULES = 1_000
const MAX_PATTERN_LENGTH = 512

/** Builds the decision; the last rule that matches wins. A path inside an ignored folder is ignored whatever follows. */
export function parseIgnoreFile(text: string): IsIgnored {
  const rules = text
    .split(/\r\n|\n/)
    .slice(0, MAX_RULES)
    .flatMap((line) => {
      const rule = ruleOf(line)
      return rule === undefined ? [] : [rule]
    })
  if (rules.length === 0) return () => false
  const folders = new Map<string, boolean>()
  const isIgnored: IsIgnored = (path, isFolder) => {
    const known = isFolder ? folders.get(path) : undefined
    if (known !== undefined) return known
    const slash = path.lastIndexOf('/')
    const answer = (slash > 0 && isIgnored(path.slice(0, slash), true)) || decide(rules, path, isFolder)
    if (isFolder) folders.set(path, answer)
    return answer
  }
  return isIgnored
}

function decide(rules: readonly Rule[], path: string, isFolder: boolean): boolean {
  const names = path.split('/')
  let answer = false
  for (const rule of rules) {
    if (rule.foldersOnly && !isFolder) continue
    if (matchesPath(rule.components, names)) answer = !rule.isNegated
  }
  return answer
}

function ruleOf(line: string): Rule | undefined {
  let pattern = line.replace(/(?<!\\) +$/, '')
  if (pattern === '' || pattern.startsWith('#') || pattern.length > MAX_PATTERN_LENGTH) return undefined
  const isNegated = pattern.startsWith('!')
  if (isNegated) pattern = pattern.slice(1)
  const foldersOnly = pattern.endsWith('/')
  if (foldersOnly) pattern = pattern.slice(0, -1)
  const isAnchored = pattern.includes('/')
  if (pattern.startsWith('/')) pattern = pattern.slice(1)
  if (pattern === '') return undefined
  const parts = isAnchored ? pattern.split('/') : ['**', pattern]
  return { components: parts.map((part) => (part === '**' ? null : tokensOf(part))), isNegated, foldersOnly }
}

/** Components against names; on a mismatch only the last `**` takes one name more, so nothing is tried twice. */
function matchesPath(components: readonly (Token[] | null)[], names: readonly string[]): boolean {
  // A `**` at the end stands for everything inside, so for at least one name.
  const needsMore = components.length > 1 && components.at(-1) === null
  const wanted = needsMore ? [...components, [{ kind: 'star' } as const]] : components
  return wildcard(
    wanted.length,
    names.length,
    (at) => wanted[at] === null,
    (at, name) => matchesName(wanted[at] ?? [], names[name] ?? ''),
  )
}

function matchesName(tokens: readonly Token[], name: string): boolean {
  return wildcard(
    tokens.length,
    name.length,
    (at) => tokens[at]?.kind === 'star',
    (at, char) => matchesChar(tokens[at], name[char] ?? ''),
  )
}

/** Whether a pattern of `length` items, some of them stars, covers all of `size` items. */
function wildcard(
  length: number,
  size: number,
  isStar: (at: number) => boolean,
  matches: (at: number, item: number) => boolean,
): boolean {
  let at = 0
  let item = 0
  let star = -1
  let resume = 0
  while (item < size) {
    if (at < length && isStar(at)) {
      star = at
      resume = item
      at += 1
    } else if (at < length && matches(at, item)) {
      at += 1
      item += 1
    } else if (star >= 0) {
      resume += 1
      at = star + 1
      item = resume
    } else return false
  }
  while (at < length && isStar(at)) at += 1
  return at === length
}

function matchesChar(token: Token | undefined, char: string): boolean {
  switch (token?.kind) {
    case 'any':
      return true
    case 'char':
      return token.char === char
    case 'set':
      return token.ranges.some(([from, to]) => from <= char && char <= to) !== token.isNegated
    default:
      return false
  }
}

function tokensOf(component: string): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < component.length; at++) {
    const char = component[at] ?? ''
    const end = char === '[' ? component.indexOf(']', at + 2) : -1
    if (char === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' })
    } else if (char === '?') tokens.push({ kind: 'any' })
    else if (char === '\\' && at + 1 < component.length) tokens.push({ kind: 'char', char: component[++at] ?? '' })
    else if (end > 0) {
      tokens.push(setOf(component.slice(at + 1, end)))
      at = end
    } else tokens.push({ kind: 'char', char })
  }
  return tokens
}

function setOf(text: string): Token {
  const isNegated = text.startsWith('!') || text.startsWith('^')
  const members = isNegated ? text.slice(1) : text
  const ranges: [string, string][] = []
  for (let at = 0; at < members.length; at++) {
    const from = members[at] ?? ''
    const to = members[at + 1] === '-' ? members[at + 2] : undefined
    ranges.push([from, to ?? from])
    if (to !== undefined) at += 2
  }
  return { kind: 'set', ranges, isNegated }
}
