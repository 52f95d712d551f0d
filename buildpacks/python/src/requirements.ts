import { BuildFailure } from '@croft/buildpack-kit'
import { normalName } from './package-name.js'

/** What an app needs, whichever file says it. */
export interface Requirement {
  /** Normal form: `ruamel-yaml`. */
  name: string
  extras: string[]
  /** PEP 440, `` for any version. */
  specifiers: string
  marker: string | null
  /** An address or a path, for packages from no index. */
  url: string | null
}

export interface RequirementsFile {
  requirements: Requirement[]
  /** Files that it includes. */
  includes: string[]
  /** Packages from a folder or repository, with `-e` or a path alone: pip installs them, nobody else can. */
  foreign: string[]
}

const SPECIFIERS = /^(?:\(\s*)?((?:===|==|!=|~=|>=|<=|>|<)[^;]*?)(?:\s*\))?$/

/** Reads one requirement of PEP 508; null for what is none. Pure. */
export function parseRequirement(text: string): Requirement | null {
  const match = /^([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)$/s.exec(text.trim())
  if (match === null) return null
  const [, name = '', extras = '', rest = ''] = match
  const base = {
    name: normalName(name),
    extras: extras
      .split(',')
      .map((extra) => extra.trim())
      .filter((extra) => extra !== '')
      .map(normalName),
  }
  if (rest.startsWith('@')) {
    const [url = '', marker = null] = rest
      .slice(1)
      .trim()
      .split(/\s+;\s*/, 2)
    return { ...base, specifiers: '', marker, url }
  }
  const [before, marker] = splitOnce(rest, ';')
  const wanted = before.trim()
  const specifiers = wanted === '' ? '' : SPECIFIERS.exec(wanted)?.[1]?.trim()
  return specifiers === undefined ? null : { ...base, specifiers, marker: marker?.trim() ?? null, url: null }
}

function splitOnce(text: string, by: string): [string, string | undefined] {
  const place = text.indexOf(by)
  return place < 0 ? [text, undefined] : [text.slice(0, place), text.slice(place + by.length)]
}

/**
 * Reads a requirements.txt: continued lines, comments, includes; hashes and options of pip are pip's business. Pure.
 * @throws BuildFailure for a line that is none, with its number
 */
export function parseRequirementsFile(text: string, file: string): RequirementsFile {
  const found: RequirementsFile = { requirements: [], includes: [], foreign: [] }
  let started = 0
  let whole = ''
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (whole === '') started = index + 1
    if (/(^|[^\\])\\$/.test(raw)) {
      whole += `${raw.slice(0, -1)} `
      continue
    }
    readLine((whole + raw).replace(/(^|\s)#.*$/, '').trim(), found, `${file}, line ${started}`)
    whole = ''
  }
  return found
}

function readLine(line: string, found: RequirementsFile, where: string): void {
  if (line === '') return
  const include = /^(?:-r|--requirement)[ =]?\s*(\S+)/.exec(line)?.[1]
  if (include !== undefined) return void found.includes.push(include)
  const editable = /^(?:-e|--editable)[ =]?\s*(\S+)/.exec(line)?.[1]
  if (editable !== undefined) return void found.foreign.push(editable)
  if (line.startsWith('-')) return
  const words = line.replace(/\s--(hash|config-settings|global-option|install-option)[= ].*$/s, '').trim()
  if (
    /^([./]|(git|hg|svn|bzr)\+|https?:|file:)/.test(words) ||
    /\.(whl|tar\.gz|zip)$/.test(words.split(/[;\s]/)[0] ?? '')
  ) {
    return void found.foreign.push(words)
  }
  const requirement = parseRequirement(words)
  if (requirement === null) {
    throw new BuildFailure(
      `${where}: ${JSON.stringify(words.slice(0, 80))} is no requirement`,
      'write it as  name==1.2.3',
    )
  }
  found.requirements.push(requirement)
}
