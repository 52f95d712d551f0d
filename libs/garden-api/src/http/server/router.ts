import { GardenError } from '../../errors.js'

/** Which route a request is for; a path is split on "/" first and unescaped after, so that `%2F` is part of a name. */

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH'

export interface Routable {
  method: Method
  /** `/containers/:handle/info`: a segment with a colon matches any one segment. */
  path: string
}

export type Match<R> =
  | { kind: 'found'; route: R; params: Record<string, string> }
  | { kind: 'wrong-method'; allow: string[] }
  | { kind: 'unknown' }

/** Fixed segments win over named ones. `HEAD` is `GET` without a body. @throws GardenError for a wrong escape */
export class Router<R extends Routable> {
  readonly #routes: { route: R; segments: string[] }[]

  constructor(routes: readonly R[]) {
    this.#routes = routes.map((route) => ({ route, segments: route.path.split('/') }))
  }

  match(method: string, pathname: string): Match<R> {
    const parts = pathname.split('/')
    const fitting = this.#routes.filter(({ segments }) => fits(segments, parts))
    if (fitting.length === 0) return { kind: 'unknown' }
    const asked = method === 'HEAD' ? 'GET' : method
    const sameMethod = fitting.filter(({ route }) => route.method === asked)
    const best = sameMethod.toSorted((a, b) => namedIn(a.segments) - namedIn(b.segments))[0]
    if (best === undefined) return { kind: 'wrong-method', allow: allowed(fitting.map(({ route }) => route.method)) }
    return { kind: 'found', route: best.route, params: paramsOf(best.segments, parts) }
  }
}

function fits(segments: string[], parts: string[]): boolean {
  return (
    segments.length === parts.length &&
    segments.every((segment, at) => (segment.startsWith(':') ? parts[at] !== '' : segment === parts[at]))
  )
}
const namedIn = (segments: string[]): number => segments.filter((segment) => segment.startsWith(':')).length

function allowed(methods: string[]): string[] {
  const all = new Set(methods)
  if (all.has('GET')) all.add('HEAD')
  return [...all].toSorted()
}

/** A "+" stays one: Garden's Go client escapes nothing, so that a property named `a+b` comes as it is. */
function paramsOf(segments: string[], parts: string[]): Record<string, string> {
  return Object.fromEntries(
    segments.flatMap((segment, at) =>
      segment.startsWith(':') ? [[segment.slice(1), unescapePart(parts[at] ?? '')]] : [],
    ),
  )
}

function unescapePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new GardenError({ code: 'invalid-path', status: 400, title: `not a valid escape: ${part}`, cause: error })
  }
}
