import { BuildFailure } from '@croft/buildpack-kit'

/** A static site as nginx is to serve it, whichever file said so. Pure. */

export interface Site {
  /** The folder that is served, below the app; `.` is the app itself. */
  root: string
  /** Whether `/about` is the file about.html. */
  isClean: boolean
  /** The first that fits is taken. */
  rules: Rule[]
  /** Of those that fit and name the same header the last one counts. */
  headers: HeaderRule[]
  /** Status to a path below the root. */
  errorPages: Map<number, string>
  isHttpsOnly: boolean
  /** The value of Strict-Transport-Security. */
  hsts: string | null
  charset: string
  listsFolders: boolean
  hasSsi: boolean
  /** Whether a name and password are asked for: those in the config vars, or a htpasswd file of the app's. */
  auth: { kind: 'config' } | { kind: 'file'; path: string } | null
  /** A file of nginx directives for `location /`, below the app. */
  include: string | null
  hasAccessLog: boolean
}

export const STATUSES = [200, 301, 302, 303, 307, 308, 404, 410] as const
export type Status = (typeof STATUSES)[number]

/** What happens to the requests of a path. */
export interface Rule {
  path: PathPattern
  /** Not for these. */
  except: PathPattern | null
  /** The host in lower case, null for all. */
  host: string | null
  /** Parameters of the query: name to the value it must have, or to the name under which the target uses it. */
  query: { name: string; value: string | null; as: string | null }[]
  /** A path or URL with `:name` in it, null for a bare status. */
  target: string | null
  status: Status
  /** Whether it counts even where there is a file. */
  isForced: boolean
  where: Place
}

export interface HeaderRule {
  path: PathPattern
  name: string
  value: string
  where: Place
}

/** A path with wildcards, as the source of a regular expression whose groups have these names. */
export interface PathPattern {
  regex: string
  names: string[]
}

export interface Place {
  file: string
  line: number
}

export const PLAIN_SITE: Site = {
  root: '.',
  isClean: false,
  rules: [],
  headers: [],
  errorPages: new Map(),
  isHttpsOnly: false,
  hsts: null,
  charset: 'utf-8',
  listsFolders: false,
  hasSsi: false,
  auth: null,
  include: null,
  hasAccessLog: true,
}

/** What a file says, and what in it had no effect. */
export interface Read<T> {
  value: T
  warnings: string[]
}

/** A mistake in a file of the app. */
export function mistake({ file, line }: Place, rule: string, remedy: string): BuildFailure {
  return new BuildFailure(`${file}, line ${line}: ${rule}`, remedy)
}

/** The line of a key in a text of JSON. */
export function lineOf(text: string, key: string, from = 0): number {
  const at = text.indexOf(JSON.stringify(key), from)
  return text.slice(0, Math.max(at, 0)).split('\n').length
}
