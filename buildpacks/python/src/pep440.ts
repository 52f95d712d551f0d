/** Versions of Python packages and conditions on them, by PEP 440. Pure. */

export interface Version {
  epoch: number
  release: number[]
  /** `a`, `b` or `rc` with its number. */
  pre: [kind: 'a' | 'b' | 'rc', number: number] | null
  post: number | null
  dev: number | null
  local: string | null
}

const VERSION =
  /^v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|beta|preview|pre|a|b|c|rc)[-_.]?(\d*))?(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$/
const KINDS: Record<string, 'a' | 'b' | 'rc'> = {
  a: 'a',
  alpha: 'a',
  b: 'b',
  beta: 'b',
  c: 'rc',
  rc: 'rc',
  pre: 'rc',
  preview: 'rc',
}

/** Reads a version; null for what is none. */
export function parseVersion(text: string): Version | null {
  const match = VERSION.exec(text.trim().toLowerCase())
  if (match === null) return null
  const [, epoch, release = '', kind, pre, implicitPost, post, postNumber, dev, devNumber, local] = match
  const preKind = kind === undefined ? undefined : KINDS[kind]
  return {
    epoch: Number(epoch ?? 0),
    release: release.split('.').map(Number),
    pre: preKind === undefined ? null : [preKind, Number(pre ?? 0)],
    post: implicitPost !== undefined ? Number(implicitPost) : post === undefined ? null : Number(postNumber ?? 0),
    dev: dev === undefined ? null : Number(devNumber ?? 0),
    local: local ?? null,
  }
}

/** Negative, zero or positive, as `a` is before, at or after `b`; local parts aside. */
export function compareVersions(a: Version, b: Version): number {
  const keys = [sortKey(a), sortKey(b)] as const
  const places = Math.max(a.release.length, b.release.length)
  if (a.epoch !== b.epoch) return a.epoch - b.epoch
  for (let place = 0; place < places; place++) {
    const difference = (a.release[place] ?? 0) - (b.release[place] ?? 0)
    if (difference !== 0) return difference
  }
  for (let place = 0; place < keys[0].length; place++) {
    const difference = (keys[0][place] ?? 0) - (keys[1][place] ?? 0)
    if (difference !== 0) return difference < 0 ? -1 : 1 // infinities have no difference that says so
  }
  return 0
}

/** What follows the release: dev releases are before pre-releases, these before the release, and post releases after it. */
function sortKey({ pre, post, dev }: Version): number[] {
  const kind = pre === null ? (post === null && dev !== null ? 0 : 4) : 1 + ['a', 'b', 'rc'].indexOf(pre[0])
  return [kind, pre?.[1] ?? 0, post ?? -1, dev ?? 2 ** 52]
}

/**
 * Whether a version fulfils conditions such as `>=2.0,<3` or `==2.2.*`; null when they are none. Pre-releases are looked at like any
 * other version: what is asked about here is there already.
 */
export function fulfils(version: string, specifiers: string): boolean | null {
  const have = parseVersion(version)
  if (have === null) return null
  const parts = specifiers.split(',').map((part) => part.trim())
  let isFulfilled = true
  for (const part of parts.filter((one) => one !== '')) {
    const holds = fulfilsOne(have, version, part)
    if (holds === null) return null
    isFulfilled &&= holds
  }
  return isFulfilled
}

function fulfilsOne(have: Version, text: string, part: string): boolean | null {
  const [, operator, asked = ''] = /^(===|==|!=|~=|>=|<=|>|<)\s*(.+)$/.exec(part) ?? []
  if (operator === undefined) return null
  if (operator === '===') return text.trim().toLowerCase() === asked.toLowerCase()
  const isPrefix = asked.endsWith('.*')
  const want = parseVersion(isPrefix ? asked.slice(0, -2) : asked)
  if (want === null || (isPrefix && operator !== '==' && operator !== '!=')) return null
  const order = compareVersions(have, want)
  switch (operator) {
    case '==':
      return isPrefix ? beginsWith(have, want) : isEqual(have, want, order)
    case '!=':
      return isPrefix ? !beginsWith(have, want) : !isEqual(have, want, order)
    case '~=':
      return want.release.length < 2
        ? null
        : order >= 0 &&
            beginsWith(have, { ...want, release: want.release.slice(0, -1), pre: null, post: null, dev: null })
    case '>=':
      return order >= 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0 && (want.post !== null || have.post === null || !isSameRelease(have, want))
    default:
      return order < 0 && (want.pre !== null || (have.pre === null && have.dev === null) || !isSameRelease(have, want))
  }
}

function isEqual(have: Version, want: Version, order: number): boolean {
  return order === 0 && (want.local === null || want.local === have.local)
}

function beginsWith(have: Version, want: Version): boolean {
  if (have.epoch !== want.epoch) return false
  if (want.pre !== null || want.post !== null) return compareVersions({ ...have, dev: null }, want) === 0
  return want.release.every((part, place) => (have.release[place] ?? 0) === part)
}

function isSameRelease(have: Version, want: Version): boolean {
  const bare = { pre: null, post: null, dev: null, local: null }
  return compareVersions({ ...have, ...bare }, { ...want, ...bare }) === 0
}
