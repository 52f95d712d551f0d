import { compareVersions, parseVersion } from './pep440.js'

/** Environment markers of PEP 508: `python_version < "3.8" and sys_platform != "win32"`. Pure. */

/** What markers ask about; `extra` is the set of extras of the package they stand in. */
export interface MarkerEnvironment {
  /** `3.11.2` */
  pythonVersion: string
  machine: string
  extras: ReadonlySet<string>
}

type Token = { kind: 'string' | 'word' | 'operator' | 'bracket'; text: string }

/** Whether a marker holds; true without one, and for one that cannot be read: then the package is asked for rather than left out. */
export function markerHolds(marker: string | null, environment: MarkerEnvironment): boolean {
  if (marker === null || marker.trim() === '') return true
  const tokens = tokensOf(marker)
  if (tokens === null) return true
  const parser = new MarkerParser(tokens, environment)
  const result = parser.or()
  return result === null || !parser.isAtEnd ? true : result
}

function tokensOf(text: string): Token[] | null {
  const tokens: Token[] = []
  let rest = text.trim()
  while (rest !== '') {
    const match = /^(?:"([^"]*)"|'([^']*)'|(===|==|!=|~=|<=|>=|<|>)|([()])|([A-Za-z_][\w.]*))\s*/.exec(rest)
    if (match === null) return null
    const [all, double, single, operator, bracket, word] = match
    if (double !== undefined || single !== undefined) tokens.push({ kind: 'string', text: double ?? single ?? '' })
    else if (operator !== undefined) tokens.push({ kind: 'operator', text: operator })
    else if (bracket !== undefined) tokens.push({ kind: 'bracket', text: bracket })
    else tokens.push({ kind: 'word', text: word ?? '' })
    rest = rest.slice(all.length)
  }
  return tokens
}

/** Precedence: brackets, comparison, `and`, `or`. A null anywhere means that the marker is none. */
class MarkerParser {
  #place = 0

  constructor(
    private readonly tokens: readonly Token[],
    private readonly environment: MarkerEnvironment,
  ) {}

  get isAtEnd(): boolean {
    return this.#place === this.tokens.length
  }

  or(): boolean | null {
    return this.#chain(
      'or',
      () =>
        this.#chain(
          'and',
          () => this.#term(),
          (a, b) => a && b,
        ),
      (a, b) => a || b,
    )
  }

  #chain(word: string, part: () => boolean | null, join: (a: boolean, b: boolean) => boolean): boolean | null {
    let result = part()
    while (result !== null && this.#takes('word', word)) {
      const next = part()
      result = next === null ? null : join(result, next)
    }
    return result
  }

  #term(): boolean | null {
    if (this.#takes('bracket', '(')) {
      const result = this.or()
      return this.#takes('bracket', ')') ? result : null
    }
    const [left, operator, right] = [this.#value(), this.#operator(), this.#value()]
    return left === null || operator === null || right === null ? null : this.#compare(left, operator, right)
  }

  #value(): { text: string; name: string | null } | null {
    const token = this.tokens[this.#place++]
    if (token === undefined) return null
    if (token.kind === 'string') return { text: token.text, name: null }
    const value = token.kind === 'word' ? variable(token.text, this.environment) : undefined
    return value === undefined ? null : { text: value, name: token.text }
  }

  #operator(): string | null {
    const token = this.tokens[this.#place++]
    if (token?.kind === 'operator') return token.text
    if (token?.kind !== 'word') return null
    if (token.text === 'in') return 'in'
    return token.text === 'not' && this.#takes('word', 'in') ? 'not in' : null
  }

  #takes(kind: Token['kind'], text: string): boolean {
    const token = this.tokens[this.#place]
    const isIt = token?.kind === kind && token.text === text
    if (isIt) this.#place++
    return isIt
  }

  #compare(
    left: { text: string; name: string | null },
    operator: string,
    right: { text: string; name: string | null },
  ): boolean | null {
    if (left.name === 'extra' || right.name === 'extra') {
      const wanted = left.name === 'extra' ? right.text : left.text
      const has = this.environment.extras.has(wanted.toLowerCase().replaceAll(/[-_.]+/g, '-'))
      return operator === '==' ? has : operator === '!=' ? !has : null
    }
    if (operator === 'in') return right.text.includes(left.text)
    if (operator === 'not in') return !right.text.includes(left.text)
    const versions = [
      parseVersion(left.text.replace(/\.\*$/, '')),
      parseVersion(right.text.replace(/\.\*$/, '')),
    ] as const
    const order =
      versions[0] === null || versions[1] === null
        ? Math.sign(left.text < right.text ? -1 : left.text > right.text ? 1 : 0)
        : right.text.endsWith('.*')
          ? compareVersions(
              { ...versions[0], release: versions[0].release.slice(0, versions[1].release.length) },
              versions[1],
            )
          : compareVersions(versions[0], versions[1])
    switch (operator) {
      case '==':
      case '===':
        return order === 0
      case '!=':
        return order !== 0
      case '<':
        return order < 0
      case '<=':
        return order <= 0
      case '>':
        return order > 0
      case '>=':
        return order >= 0
      default: // ~=
        return order >= 0 && left.text.split('.')[0] === right.text.split('.')[0]
    }
  }
}

function variable(name: string, { pythonVersion, machine }: MarkerEnvironment): string | undefined {
  const values: Record<string, string> = {
    python_version: pythonVersion.split('.').slice(0, 2).join('.'),
    python_full_version: pythonVersion,
    implementation_version: pythonVersion,
    os_name: 'posix',
    sys_platform: 'linux',
    platform_system: 'Linux',
    platform_machine: machine,
    platform_python_implementation: 'CPython',
    implementation_name: 'cpython',
    platform_release: '',
    platform_version: '',
    extra: '',
  }
  return Object.hasOwn(values, name) ? values[name] : undefined
}
