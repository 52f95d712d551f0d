/** What allows every address; see `buildpackSources` among the platform's settings. */
const ANY = 'https://'

/**
 * Whether a buildpack may be fetched from an address: it is one of `sources`, or lies below one. Compared as the client of git reads
 * it, so that neither `..` nor a longer name of the last folder leads out of what is allowed. Pure.
 */
export function isAllowedSource(address: string, sources: readonly string[]): boolean {
  if (sources.includes(ANY)) return address.startsWith(ANY)
  const asked = URL.parse(address)
  if (asked === null || asked.protocol !== 'https:' || asked.username !== '' || asked.password !== '') return false
  if (/%2f|%5c/i.test(asked.pathname)) return false // what a server makes of these nobody knows
  return sources.some((source) => {
    const allowed = URL.parse(source)
    if (allowed === null || allowed.origin !== asked.origin) return false
    const folder = allowed.pathname.replace(/\/$/, '')
    const path = asked.pathname.replace(/\/$/, '')
    return path === folder || path === `${folder}.git` || path.startsWith(`${folder}/`)
  })
}
