import { DistributionError } from './errors.js'

/** What the distribution API says in headers and queries. Pure. */

/** One range of a blob; anything else than one satisfiable range is answered with the whole. @throws DistributionError */
export function rangeOf(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const [, from, to] = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header ?? '') ?? []
  if (from === undefined) return undefined
  const start = Number(from)
  const end = Math.min(to === undefined ? size - 1 : Number(to), size - 1)
  if (start >= size || end < start) throw new DistributionError(416, 'RANGE_INVALID', `the blob has ${size} bytes`)
  return { start, end }
}

/** Where a piece of an upload starts: `<start>-<end>`. */
export function startOf(header: string | undefined): number | undefined {
  const start = /^(?:bytes[ =])?(\d{1,15})-\d{1,15}(?:\/.*)?$/.exec(header ?? '')?.[1]
  return start === undefined ? undefined : Number(start)
}

const MAX_PAGE = 1_000

/** The tags after `last` in lexical order, at most `n`; `next` is where another page goes on. @throws DistributionError */
export function pageOf(
  all: readonly string[],
  query: { n?: string | undefined; last?: string | undefined },
): { tags: string[]; next: string | undefined } {
  if (query.n !== undefined && !/^\d{1,9}$/.test(query.n)) {
    throw new DistributionError(400, 'PAGINATION_NUMBER_INVALID', 'n is a number')
  }
  const limit = query.n === undefined ? MAX_PAGE : Math.min(Number(query.n), MAX_PAGE)
  const sorted = all.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const { last } = query
  const rest = last === undefined ? sorted : sorted.filter((tag) => tag > last)
  const tags = rest.slice(0, limit)
  return { tags, next: rest.length > tags.length ? tags.at(-1) : undefined }
}

/** Where the page after one of `n` entries is, as a `Link` header. */
export function nextLink(path: string, n: number, last: string): string {
  return `<${path}?${new URLSearchParams({ n: String(n), last }).toString()}>; rel="next"`
}
