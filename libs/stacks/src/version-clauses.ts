/** Version operators of languages as semver ranges. Pure. */

/** A condition on a version: ranges of which one must hold. */
export type Clause = readonly string[]

/** Release numbers only: a fourth number, pre-releases and suffixes are not looked at. Null for what is no version. */
export function releaseOf(text: string): number[] | null {
  const match = /^v?(\d{1,6}(?:\.\d{1,6})*)(?![\d.])/.exec(text.trim())
  return match?.[1] === undefined ? null : match[1].split('.').slice(0, 3).map(Number)
}

/** `[3, 1]` as `3.1.0`. */
export function full(release: readonly number[]): string {
  return [0, 1, 2].map((place) => release[place] ?? 0).join('.')
}

/** The versions that begin with `release`: `3.1.x`; of three numbers just that one. */
export function line(release: readonly number[]): string {
  return release.length >= 3 ? full(release) : `${release.join('.')}.x`
}

/** The first version after all that begin with `release`: `3.2.0` after `[3, 1]`. */
export function after(release: readonly number[]): string {
  return full(release.map((part, place) => (place === release.length - 1 ? part + 1 : part)))
}

/** The versions beside those that begin with `release`. */
export function besides(release: readonly number[]): Clause {
  return [`<${full(release)}`, release.length >= 3 ? `>${full(release)}` : `>=${after(release)}`]
}

/** One semver range for all clauses together; `*` for none. */
export function allOf(clauses: readonly Clause[]): string {
  const ranges = clauses.reduce<string[]>(
    (all, clause) => all.flatMap((one) => clause.map((other) => `${one} ${other}`.trim())),
    [''],
  )
  return ranges.map((one) => (one === '' ? '*' : one)).join(' || ')
}
