import { MAX_SYSTEM_PACKAGES, type SystemPackage } from './system-package.js'

/** The database of dpkg: `/var/lib/dpkg/status`, or a file for each package in `status.d/`, as images without a dpkg have it. Pure. */

const NAME = /^[a-z0-9][a-z0-9+.-]{0,254}$/
const VERSION = /^[0-9A-Za-z][0-9A-Za-z.+:~-]{0,254}$/
const ARCHITECTURE = /^[a-z0-9-]{1,40}$/
const FIELDS: ReadonlySet<string> = new Set(['Package', 'Status', 'Version', 'Architecture'])

/** The packages that are installed. Anybody may have written it: what is no package is left out. */
export function parseDpkgStatus(text: string): SystemPackage[] {
  const found: SystemPackage[] = []
  let fields = new Map<string, string>()
  const take = (): void => {
    const one = installed(fields)
    if (one !== null && found.length < MAX_SYSTEM_PACKAGES) found.push(one)
    fields = new Map()
  }
  for (const line of text.split('\n')) {
    if (line.trim() === '') {
      take()
      continue
    }
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)) // a line that goes on begins with a space
    if (FIELDS.has(name) && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim())
  }
  take()
  return found
}

/** Without a status nobody could remove it: it is what the image was made with. */
function installed(fields: ReadonlyMap<string, string>): SystemPackage | null {
  const name = fields.get('Package') ?? ''
  const version = fields.get('Version') ?? ''
  const architecture = fields.get('Architecture') ?? ''
  const status = fields.get('Status')
  if (!NAME.test(name) || !VERSION.test(version)) return null
  if (status !== undefined && status.split(/\s+/).at(-1) !== 'installed') return null
  return { name, version, architecture: ARCHITECTURE.test(architecture) ? architecture : '' }
}
