import { parseHeaders } from './headers-file.js'
import { parseRedirects } from './redirects-file.js'
import { PLAIN_SITE, type Read, type Site } from './site.js'
import { parseStaticJson } from './static-json.js'
import { parseStaticfile } from './staticfile.js'

/** Where finished pages often lie, when no file says where. */
const USUAL_ROOTS = ['.', 'public_html', 'public', 'dist', 'build', '_site', 'out', 'docs']

/**
 * The site that the files of an app describe; `read` gives the text of a file or null. `_redirects` and `_headers` may lie in the
 * folder that is served. Pure but for `read`. @throws BuildFailure naming file, line and rule
 */
export function siteOf(read: (file: string) => string | null): Read<Site> {
  const [json, staticfile] = [read('static.json'), read('Staticfile')]
  const { value: main, warnings } = settingsOf(json, staticfile, read('Staticfile.auth') !== null)
  const root = main.root ?? usualRoot(read, json !== null)
  const below = (file: string): string => (root === '.' ? file : `${root}/${file}`)
  const [redirects, redirectsFile] = firstOf(read, [below('_redirects'), '_redirects'])
  const [headers, headersFile] = firstOf(read, [below('_headers'), '_headers'])
  const isNetlify = redirects !== null || headers !== null
  const errorPages = new Map(main.errorPages)
  if (!errorPages.has(404) && read(below('404.html')) !== null) errorPages.set(404, '/404.html')
  return {
    value: {
      ...PLAIN_SITE,
      ...main,
      root,
      isClean: main.isClean ?? isNetlify,
      rules: [...parseRedirects(redirects ?? '', redirectsFile), ...(main.rules ?? [])],
      headers: [...(main.headers ?? []), ...parseHeaders(headers ?? '', headersFile)],
      errorPages,
    },
    warnings,
  }
}

function settingsOf(json: string | null, staticfile: string | null, hasAuthFile: boolean): Read<Partial<Site>> {
  if (json !== null) {
    const { value, warnings } = parseStaticJson(json)
    const ignored = staticfile === null ? [] : ['Staticfile is not read, because there is a static.json']
    return { value, warnings: [...warnings, ...ignored] }
  }
  return staticfile === null ? { value: {}, warnings: [] } : parseStaticfile(staticfile, hasAuthFile)
}

function usualRoot(read: (file: string) => string | null, hasStaticJson: boolean): string {
  const roots = hasStaticJson ? ['public_html', ...USUAL_ROOTS] : USUAL_ROOTS
  return roots.find((root) => read(root === '.' ? 'index.html' : `${root}/index.html`) !== null) ?? '.'
}

function firstOf(read: (file: string) => string | null, files: [string, string]): [text: string | null, file: string] {
  const file = files.find((each) => read(each) !== null) ?? files[1]
  return [read(file), file]
}
