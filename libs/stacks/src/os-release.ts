/** `/etc/os-release`, by which a distribution says what it is. Pure. */

export interface OsRelease {
  /** `debian`, `ubuntu`, `alpine`. */
  id: string
  /** `12`, `22.04`; '' where it has none. */
  version: string
}

const WORD = /^[0-9A-Za-z][0-9A-Za-z._~+-]{0,39}$/

/** Null when it does not say which distribution it is of. */
export function parseOsRelease(text: string): OsRelease | null {
  const id = valueOf(text, 'ID')
  const version = valueOf(text, 'VERSION_ID')
  return WORD.test(id) ? { id, version: WORD.test(version) ? version : '' } : null
}

/** The last one counts, as for a shell that reads it. */
function valueOf(text: string, name: string): string {
  const line = text.split('\n').findLast((one) => one.startsWith(`${name}=`))
  const value = line?.slice(name.length + 1).trim() ?? ''
  const quote = value.charAt(0)
  const isQuoted = (quote === '"' || quote === "'") && value.length >= 2 && value.endsWith(quote)
  return isQuoted ? value.slice(1, -1) : value
}
