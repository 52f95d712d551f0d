import { folderOf, pathOf } from './static-json.js'
import { mistake, PLAIN_SITE, type Place, type Read, type Site } from './site.js'

/** `Staticfile`, with the keys that Cloud Foundry's buildpack for static files knew: `key: value` on each line. Pure. */

const FILE = 'Staticfile'
const HSTS = 'http_strict_transport_security'
const YEAR_SECONDS = 31_536_000

/** What the file means; a `Staticfile.auth` beside it is a htpasswd file. @throws BuildFailure naming the line */
export function parseStaticfile(text: string, hasAuthFile: boolean): Read<Partial<Site>> {
  const { entries, statusCodes } = linesOf(text)
  const warnings: string[] = []
  const value: Partial<Site> = { errorPages: statusCodes, rules: [] }
  let hsts: string[] = []
  for (const [key, word, where] of entries) {
    switch (key) {
      case 'root':
        value.root = folderOf(word, where)
        break
      case 'directory':
        value.listsFolders = isOn(word, where)
        break
      case 'ssi':
        value.hasSsi = isOn(word, where)
        break
      case 'pushstate':
        if (isOn(word, where)) value.rules = [singlePage(where)]
        break
      case 'force_https':
        value.isHttpsOnly = isOn(word, where)
        break
      case HSTS:
        if (isOn(word, where)) hsts = [`max-age=${YEAR_SECONDS}`, ...hsts]
        break
      case `${HSTS}_include_subdomains`:
        if (isOn(word, where)) hsts.push('includeSubDomains')
        break
      case `${HSTS}_preload`:
        if (isOn(word, where)) hsts.push('preload')
        break
      case 'location_include':
        value.include = `nginx/conf/${folderOf(word, where)}`
        break
      case 'host_dot_files':
        if (isOn(word, where))
          warnings.push(`${FILE}, line ${where.line}: files that begin with a dot are never served`)
        break
      case 'enable_http2':
        break // between the router and the site there is HTTP/1.1
      default:
        warnings.push(`${FILE}, line ${where.line}: ${JSON.stringify(key)} is not known and has no effect`)
    }
  }
  if (hsts[0]?.startsWith('max-age') === true) value.hsts = hsts.join('; ')
  if (hasAuthFile) value.auth = { kind: 'file', path: 'Staticfile.auth' }
  return { value, warnings }
}

/** Every path without a file is the start page. */
function singlePage(where: Place): Site['rules'][number] {
  const path = { regex: '^/.*$', names: [] }
  return { path, except: null, host: null, query: [], target: '/index.html', status: 200, isForced: false, where }
}

function isOn(word: string, where: Place): boolean {
  const value = word.toLowerCase()
  if (['true', 'enabled', 'visible', 'on', 'yes'].includes(value)) return true
  if (['false', 'disabled', 'off', 'no', ''].includes(value)) return false
  throw mistake(where, `${JSON.stringify(word)} is neither true nor false`, 'write  true  or  false')
}

function linesOf(text: string): {
  entries: [key: string, value: string, where: Place][]
  statusCodes: Site['errorPages']
} {
  const entries: [string, string, Place][] = []
  const statusCodes = new Map(PLAIN_SITE.errorPages)
  let isInCodes = false
  for (const [index, line] of text.split('\n').entries()) {
    const where = { file: FILE, line: index + 1 }
    if (/^\s*(#.*|---\s*)?$/.test(line)) continue
    const match = /^(\s*)["']?([\w-]+)["']?\s*:(?:\s+(.*?))?\s*$/.exec(line.replace(/\s#.*$/, ''))
    if (match === null)
      throw mistake(where, 'expected  key: value', 'write one setting on each line, e.g.  root: public')
    const [, indent = '', key = '', quoted = ''] = match
    const value = quoted.replace(/^(["'])(.*)\1$/, '$2')
    if (indent === '') {
      isInCodes = key === 'status_codes'
      if (!isInCodes) entries.push([key, value, where])
    } else if (!isInCodes) throw mistake(where, `${key} stands below nothing`, 'begin it in the first column')
    else if (!/^[45]\d\d$/.test(key)) throw mistake(where, `${key} is no status of an error`, 'write  404: /404.html')
    else statusCodes.set(Number(key), pathOf(value, where))
  }
  return { entries, statusCodes }
}
