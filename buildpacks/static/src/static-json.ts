import { BuildFailure } from '@croft/buildpack-kit'
import { JsonProblem, readJson } from '@croft/kit/json-document'
import { checkedHeader } from './headers-file.js'
import { globPattern } from './path-pattern.js'
import { checkTarget } from './redirects-file.js'
import { lineOf, mistake, STATUSES, type HeaderRule, type Place, type Read, type Rule, type Site } from './site.js'

/** `static.json`, with the keys that Heroku's buildpack for static sites knew. Pure. */

const FILE = 'static.json'
const KNOWN = [
  'root',
  'clean_urls',
  'routes',
  'redirects',
  'headers',
  'error_page',
  'https_only',
  'basic_auth',
  'encoding',
  'logging',
  'worker_connections', // nginx has enough of them here
  'debug',
]

/** @throws BuildFailure naming file, line and rule */
export function parseStaticJson(text: string): Read<Partial<Site>> {
  const document = documentOf(text)
  const at = (key: string): Place => ({ file: FILE, line: lineOf(text, key) })
  if (document['proxies'] !== undefined) {
    throw mistake(
      at('proxies'),
      'a site cannot pass requests on to another server',
      'take proxies out, and let pages call the other app by its own address',
    )
  }
  if (document['canonical_host'] !== undefined) {
    throw mistake(
      at('canonical_host'),
      'canonical_host is not known',
      'write a _redirects file with a line  http://other.example.org/* https://example.org/:splat 301!',
    )
  }
  const string = (key: string): string | null => {
    const value = document[key]
    if (value === undefined || value === null) return null
    if (typeof value !== 'string') throw mistake(at(key), `${key} must be a string`, `write  "${key}": "..."`)
    return value
  }
  const isTrue = (key: string): boolean => {
    const value = document[key] ?? false
    if (typeof value !== 'boolean') throw mistake(at(key), `${key} must be true or false`, `write  "${key}": true`)
    return value
  }
  const value: Partial<Site> = { isHttpsOnly: isTrue('https_only'), hasAccessLog: hasAccessLog(document['logging']) }
  const root = string('root')
  if (root !== null) value.root = folderOf(root, at('root'))
  if (document['clean_urls'] !== undefined) value.isClean = isTrue('clean_urls')
  if (isTrue('basic_auth')) value.auth = { kind: 'config' }
  const page = string('error_page')
  if (page !== null) {
    const path = pathOf(page, at('error_page'))
    value.errorPages = new Map([404, 500].map((status) => [status, path]))
  }
  const charset = string('encoding')
  if (charset !== null) {
    if (!/^[A-Za-z0-9-]+$/.test(charset))
      throw mistake(at('encoding'), `${charset} is no encoding`, 'write  "encoding": "UTF-8"')
    value.charset = charset
  }
  value.rules = [...redirectsOf(text, document['redirects']), ...routesOf(text, document['routes'])]
  value.headers = headersOf(text, document['headers'])
  const unknown = Object.keys(document).filter((key) => !KNOWN.includes(key))
  const warnings = unknown.map(
    (key) => `${FILE}, line ${lineOf(text, key)}: ${JSON.stringify(key)} is not known and has no effect`,
  )
  return { value, warnings }
}

function documentOf(text: string): Record<string, unknown> {
  const remedy = `correct ${FILE}, then commit and push again`
  let document: unknown
  try {
    document = readJson(text)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    throw new BuildFailure(`${FILE}, ${error.message}`, remedy)
  }
  const object = record(document)
  if (object === null) throw new BuildFailure(`${FILE}, line 1: has to be an object: { ... }`, remedy)
  return object
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}

/** The members of the object under a key, each with its line. */
function membersOf(text: string, key: string, value: unknown): [name: string, value: unknown, where: Place][] {
  if (value === undefined) return []
  const start = Math.max(text.indexOf(JSON.stringify(key)), 0)
  const object = record(value)
  if (object === null)
    throw mistake({ file: FILE, line: lineOf(text, key) }, `${key} must be an object`, `write  "${key}": {}`)
  return Object.entries(object).map(([name, each]) => [name, each, { file: FILE, line: lineOf(text, name, start) }])
}

function routesOf(text: string, value: unknown): Rule[] {
  return membersOf(text, 'routes', value).map(([glob, route, where]) => {
    const detailed = record(route)
    const target = detailed === null ? route : detailed['path']
    const except = detailed?.['except']
    if (typeof target !== 'string' || (except !== undefined && typeof except !== 'string')) {
      throw mistake(where, 'a route leads to a file', `write  ${JSON.stringify(glob)}: "index.html"`)
    }
    return {
      path: globPattern(glob, where),
      except:
        except === undefined
          ? null
          : {
              ...globPattern(except, where),
              regex: `^${globPattern(except, where)
                .regex.slice(1)
                .replace(/\/\?\$$|\$$/, '')}`,
            },
      host: null,
      query: [],
      target: pathOf(target, where),
      status: 200,
      isForced: false,
      where,
    }
  })
}

function redirectsOf(text: string, value: unknown): Rule[] {
  return membersOf(text, 'redirects', value).map(([path, redirect, where]) => {
    const { url, status = 301 } = record(redirect) ?? {}
    const known = STATUSES.find((each) => each === status && each >= 300 && each < 400)
    if (typeof url !== 'string')
      throw mistake(where, 'a redirect has a url', `write  ${JSON.stringify(path)}: { "url": "/" }`)
    if (known === undefined)
      throw mistake(where, `${JSON.stringify(status)} is no status of a redirect`, 'take 301, 302, 303, 307 or 308')
    const rule: Rule = {
      path: globPattern(path, where),
      except: null,
      host: null,
      query: [],
      target: url,
      status: known,
      isForced: false,
      where,
    }
    checkTarget(rule)
    return rule
  })
}

function headersOf(text: string, value: unknown): HeaderRule[] {
  return membersOf(text, 'headers', value).flatMap(([glob, headers, where]) => {
    const object = record(headers)
    if (object === null)
      throw mistake(where, 'headers of a path are an object', `write  ${JSON.stringify(glob)}: { "Name": "value" }`)
    const path = globPattern(glob, where)
    return Object.entries(object).map(([name, each]) => {
      if (typeof each !== 'string')
        throw mistake(where, `the header ${name} must be a string`, `write  "${name}": "..."`)
      return { path, ...checkedHeader(name, each, where), where }
    })
  })
}

function hasAccessLog(value: unknown): boolean {
  return record(value)?.['access'] !== false
}

/** A folder below the app. @throws BuildFailure */
export function folderOf(text: string, where: Place): string {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || /["'$\\;{}\s@|]/.test(text))
    throw mistake(where, `${JSON.stringify(text)} is no folder of the app`, 'write  dist/')
  return parts.length === 0 ? '.' : parts.join('/')
}

/** A path below the root, with its slash. @throws BuildFailure */
export function pathOf(text: string, where: Place): string {
  const folder = folderOf(text, where)
  return folder === '.' ? '/' : `/${folder}`
}
