/**
 * `.dockerignore`: what of a folder is not sent. Patterns as Docker reads them: each against the whole path from the folder, where
 * `*` and `?` end at a slash and `**` does not; `!` takes back; the last one that matches a path, or a folder above it, decides. Pure.
 */

export interface DockerIgnore {
  isIgnored(path: string): boolean
  /** Whether something below an ignored folder may be taken back, so that it has to be looked at. */
  mayTakeBack: boolean
}

interface Rule {
  isNegated: boolean
  pattern: RegExp
  /** How many names of a path it is about; null: any number. */
  depth: number | null
}

/** A pattern that is none. */
export class DockerIgnoreError extends Error {
  override readonly name = 'DockerIgnoreError'
  constructor(
    readonly line: number,
    pattern: string,
  ) {
    super(`line ${line}: ${pattern} is no pattern`)
  }
}

/** @throws DockerIgnoreError */
export function parseDockerIgnore(text: string): DockerIgnore {
  const rules = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .flatMap((line, index) => ruleOf(line, index + 1) ?? [])
  return {
    isIgnored: (path) => decide(rules, path),
    mayTakeBack: rules.some(({ isNegated }) => isNegated),
  }
}

function decide(rules: readonly Rule[], path: string): boolean {
  const names = path.split('/')
  let isIgnored = false
  for (const { isNegated, pattern, depth } of rules) {
    if (isNegated !== isIgnored) continue // it would change nothing
    const above = names.slice(0, -1)
    const folders = depth === null ? above.map((_name, at) => above.slice(0, at + 1)) : [above.slice(0, depth)]
    const isMatch = pattern.test(path) || folders.some((folder) => folder.length > 0 && pattern.test(folder.join('/')))
    if (isMatch) isIgnored = !isNegated
  }
  return isIgnored
}

function ruleOf(line: string, number: number): Rule | undefined {
  if (line.startsWith('#')) return undefined
  let text = line.trim()
  const isNegated = text.startsWith('!')
  if (isNegated) text = text.slice(1).trim()
  const names = clean(text)
  if (names.length === 0) return undefined
  try {
    const pattern = new RegExp(`^${regexOf(names.join('/'))}$`, 's')
    return { isNegated, pattern, depth: names.includes('**') ? null : names.length }
  } catch {
    throw new DockerIgnoreError(number, line.trim())
  }
}

/** The names of a path without what means nothing in it: `./`, `//`, `a/..`, a slash at either end. */
function clean(text: string): string[] {
  const names: string[] = []
  for (const name of text.split('/')) {
    if (name === '..') names.pop()
    else if (name !== '' && name !== '.') names.push(name)
  }
  return names
}

function regexOf(pattern: string): string {
  let regex = ''
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at] ?? ''
    if (char === '*' && pattern[at + 1] === '*') {
      at += 1
      if (pattern[at + 1] === '/') at += 1
      regex += at + 1 >= pattern.length ? '.*' : '(?:.*/)?'
    } else if (char === '*') regex += '[^/]*'
    else if (char === '?') regex += '[^/]'
    else if (char === '[') {
      const end = pattern.indexOf(']', at + 2)
      if (end === -1) throw new RangeError('a class that does not end')
      regex += classOf(pattern.slice(at + 1, end))
      at = end
    } else if (char === '\\' && at + 1 < pattern.length) regex += escaped(pattern[++at] ?? '')
    else regex += escaped(char)
  }
  return regex
}

function classOf(members: string): string {
  const isNegated = members.startsWith('^')
  const text = (isNegated ? members.slice(1) : members).replaceAll(/[\][^]/g, '\\$&')
  return isNegated ? `[^/${text}]` : `[${text}]`
}

const escaped = (char: string): string => char.replace(/[$()*+.?[\\\]^{|}/]/, '\\$&')
