import Range from 'semver/classes/range.js'
import intersects from 'semver/ranges/intersects.js'
import subset from 'semver/ranges/subset.js'

/** Version constraints as Composer writes them, as semver ranges. Pure. */

const VERSION = /^v?(\d{1,5})(?:\.(\d{1,5}|[*x]))?(?:\.(\d{1,5}|[*x]))?(?:\.(?:\d{1,5}|[*x]))?$/i
/** Stability, as in `8.4.0RC1`, `8.0-dev` or `^8@beta`: distributions have stable versions only. */
const STABILITY = /(?:@\w+|[-_.]?(?:stable|dev|rc|patch|pl|p|beta|b|alpha|a)[.\d-]*)$/i
const ANYTHING = /^[*x](?:\.[*x])*$/i

/**
 * The semver range that means what Composer's constraint means, in its words where both languages have them; null for what is no
 * constraint on versions (`dev-master`).
 */
export function composerRange(constraint: string): string | null {
  const alternatives = constraint.trim().split(/\s*\|\|?\s*/)
  const ranges = alternatives.map(allOf)
  return ranges.every((range) => range !== null) ? ranges.join(' || ') : null
}

/** The range of what is in both; null when nothing is. */
export function intersection(one: string, other: string): string | null {
  if (subset(one, other)) return one
  if (subset(other, one)) return other
  const pairs = one.split(' || ').flatMap((left) => other.split(' || ').map((right) => [left, right] as const))
  const common = pairs.filter(([left, right]) => intersects(left, right))
  return common.length === 0 ? null : [...new Set(common.map(([left, right]) => narrowed(left, right)))].join(' || ')
}

function narrowed(left: string, right: string): string {
  return subset(left, right) ? left : subset(right, left) ? right : `${left} ${right}`
}

/** Terms side by side or with commas between: every one holds. */
function allOf(text: string): string | null {
  const hyphen = /^\s*(\S+)\s+-\s+(\S+)\s*$/.exec(text)
  if (hyphen !== null) return between(hyphen[1] ?? '', hyphen[2] ?? '')
  const terms = text
    .replace(/([<>=!~^])\s+/g, '$1')
    .split(/[\s,]+/)
    .filter((term) => term !== '')
  if (terms.length === 0) return null
  let all: string | null = null
  for (const term of terms) {
    const range = oneTerm(term)
    if (range === null) return null
    all = all === null || all === '*' ? range : range === '*' ? all : (intersection(all, range) ?? NOTHING)
  }
  return all
}

/** A range no version is in. */
const NOTHING = '<0.0.0-0'

interface Version {
  /** One to three numbers. */
  numbers: string[]
  isWildcard: boolean
}

function versionOf(text: string): Version | null {
  const match = VERSION.exec(text.replace(STABILITY, ''))
  if (match === null) return null
  const parts = match.slice(1).filter((part) => part !== undefined)
  const numbers = parts.filter((part) => /^\d/.test(part)).map((part) => String(Number(part)))
  return { numbers, isWildcard: /[*x]/i.test(text.replace(STABILITY, '')) }
}

const full = ({ numbers }: Version): string => [...numbers, '0', '0'].slice(0, 3).join('.')

function oneTerm(term: string): string | null {
  if (ANYTHING.test(term.replace(STABILITY, ''))) return '*'
  const [, operator = '', rest = ''] = /^(\^|~|>=|<=|<>|!=|==?|>|<)?(.*)$/.exec(term) ?? []
  const version = versionOf(rest)
  if (version === null) return null
  switch (operator) {
    case '^':
      return `^${version.numbers.join('.')}`
    case '~': // two numbers leave the second free, as one does
      return version.numbers.length === 3
        ? `~${full(version)}`
        : `>=${full(version)} <${Number(version.numbers[0]) + 1}.0.0`
    case '>':
    case '>=':
    case '<':
    case '<=':
      return `${operator}${full(version)}`
    case '!=':
    case '<>':
      return version.isWildcard ? null : `<${full(version)} || >${full(version)}`
    default:
      return version.isWildcard ? `${version.numbers.join('.')}.x` : full(version)
  }
}

/** `1.0 - 2.0` goes up to everything that begins with 2.0. */
function between(low: string, high: string): string | null {
  const from = versionOf(low)
  const to = versionOf(high)
  if (from === null || to === null) return null
  return new Range(`${full(from)} - ${to.numbers.join('.')}`).range
}
