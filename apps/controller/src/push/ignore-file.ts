/** `.croftignore`: which files of a commit are no part of an app's source; the patterns of `.gitignore`. Pure. */

export type IsIgnored = (path: string, isFolder: boolean) => boolean

interface Rule {
  matches: RegExp
  isNegated: boolean
  foldersOnly: boolean
}

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
  let answer = false
  for (const rule of rules) {
    if (rule.foldersOnly && !isFolder) continue
    if (rule.matches.test(path)) answer = !rule.isNegated
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
  return { matches: expressionOf(pattern, isAnchored), isNegated, foldersOnly }
}

/** No construct of it backtracks over another: `*` stays inside a name, `**` is a whole component. */
function expressionOf(pattern: string, isAnchored: boolean): RegExp {
  let source = isAnchored ? '^' : '^(?:.*/)?'
  // `**` runs are collapsed, so that two never meet.
  const components = pattern.split('/').filter((part, index, all) => part !== '**' || all[index - 1] !== '**')
  for (const [index, component] of components.entries()) {
    const isLast = index === components.length - 1
    if (component === '**') source += isLast ? '.+' : '(?:.*/)?'
    else source += componentSource(component) + (isLast ? '' : '/')
  }
  return new RegExp(`${source}$`, 's')
}

function componentSource(component: string): string {
  let source = ''
  for (let at = 0; at < component.length; at++) {
    const char = component[at] ?? ''
    if (char === '*') {
      if (component[at - 1] !== '*') source += '[^/]*'
    } else if (char === '?') source += '[^/]'
    else if (char === '\\' && at + 1 < component.length) source += escaped(component[++at] ?? '')
    else if (char === '[' && component.indexOf(']', at + 2) > 0) {
      const end = component.indexOf(']', at + 2)
      const set = component.slice(at + 1, end)
      const isNegated = set.startsWith('!') || set.startsWith('^')
      const members = (isNegated ? set.slice(1) : set).replace(/[\\[\]^]/g, String.raw`\$&`)
      source += `(?!/)[${isNegated ? '^' : ''}${orderedRanges(members)}]`
      at = end
    } else source += escaped(char)
  }
  return source
}

/** A range that runs backwards matches nothing in git and does not compile here: its `-` becomes a plain character. */
function orderedRanges(members: string): string {
  return members.replace(/([^\\])-([^\\])/gs, (whole, from: string, to: string) =>
    from <= to ? whole : `${from}\\-${to}`,
  )
}

function escaped(char: string): string {
  return char.replace(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`)
}
