import { MAX_SYSTEM_PACKAGES, type SystemPackage } from './system-package.js'

/** The database of apk, `/lib/apk/db/installed`: one letter a field, an empty line after each package. Pure. */

const NAME = /^[0-9A-Za-z._+@-]{1,255}$/
const VERSION = /^[0-9A-Za-z][0-9A-Za-z._~+-]{0,254}$/
const ARCHITECTURE = /^[0-9a-z_-]{1,40}$/

/** The packages that are installed. Anybody may have written it: what is no package is left out. */
export function parseApkInstalled(text: string): SystemPackage[] {
  const found: SystemPackage[] = []
  let fields = new Map<string, string>()
  const take = (): void => {
    const [name = '', version = '', architecture = ''] = ['P', 'V', 'A'].map((letter) => fields.get(letter))
    fields = new Map()
    if (!NAME.test(name) || !VERSION.test(version) || found.length >= MAX_SYSTEM_PACKAGES) return
    found.push({ name, version, architecture: ARCHITECTURE.test(architecture) ? architecture : '' })
  }
  for (const line of text.split('\n')) {
    if (line.trim() === '') take()
    else if (/^[PVA]:/.test(line) && !fields.has(line.charAt(0))) fields.set(line.charAt(0), line.slice(2).trim())
  }
  take()
  return found
}
