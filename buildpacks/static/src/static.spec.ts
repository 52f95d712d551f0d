import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BuildFailure } from '@croft/buildpack-kit'
import { parseHeaders } from './headers-file.js'
import { nginxConf } from './nginx-conf.js'
import { globPattern, placeholderPattern } from './path-pattern.js'
import { parseRedirects } from './redirects-file.js'
import { siteOf } from './site-of.js'
import { PLAIN_SITE } from './site.js'
import { parseStaticJson } from './static-json.js'
import { parseStaticfile } from './staticfile.js'

const HERE = { file: 'a file', line: 1 }
const sites = (files: Record<string, string>): ReturnType<typeof siteOf> => siteOf((file) => files[file] ?? null)

describe('a path with wildcards', () => {
  it.each([
    ['/a', ['/a', '/a/'], ['/ab', '/a/b', '/']],
    ['/*', ['/', '/a'], ['/a/b']],
    ['/**', ['/', '/a', '/a/b'], []],
    ['/*.html', ['/a.html'], ['/a/b.html', '/ahtml']],
    ['/a/**', ['/a/', '/a/b/c'], ['/b']],
    ['/', ['/'], ['/a']],
  ])('the glob %s', (glob, fitting, others) => {
    const regex = new RegExp(globPattern(glob, HERE).regex)
    expect([...fitting, ...others].filter((path) => regex.test(path))).toEqual(fitting)
  })
  it.each([
    ['/a/:b', '/a/x', ['x']],
    ['/a/:b/:c/', '/a/x/y/', ['x', 'y']],
    ['/a/*', '/a/x/y', ['x/y']],
    ['/a/*', '/a', [undefined]],
    ['/*', '/x', ['x']],
    ['/a.b', '/a.b/', []],
    ['/a.b', '/axb', null],
    ['/a/:b', '/a/x/y', null],
  ])('%s takes from %s %j', (pattern, path, groups) => {
    const match = new RegExp(placeholderPattern(pattern, HERE).regex).exec(path)
    expect(match === null ? null : match.slice(1)).toEqual(groups)
  })
})

describe('_redirects', () => {
  it('has a rule on each line, with status, force, parameters and host', () => {
    const rules = parseRedirects(
      '# first\n/a /b\n\n/c /d 302! # why\n/s id=:id x=1 /s/:id 308\nhttps://old.example.org/* https://new.example.org/:splat\n/x /404.html 404\n',
    )
    expect(
      rules.map(({ status, isForced, host, query, target, where }) => [
        where.line,
        status,
        isForced,
        host,
        query,
        target,
      ]),
    ).toEqual([
      [2, 301, false, null, [], '/b'],
      [4, 302, true, null, [], '/d'],
      [
        5,
        308,
        false,
        null,
        [
          { name: 'id', value: null, as: 'id' },
          { name: 'x', value: '1', as: null },
        ],
        '/s/:id',
      ],
      [6, 301, false, 'old.example.org', [], 'https://new.example.org/:splat'],
      [7, 404, false, null, [], '/404.html'],
    ])
  })
  it.each([
    ['/a\n', 1, /leads nowhere/],
    ['\n/a /b 299\n', 2, /299 is none of 200, 301/],
    ['/a /b 302 Country=de\n', 1, /is a condition/],
    ['/a b\n', 1, /neither a path nor a URL/],
    ['a /b\n', 1, /does not begin with a slash/],
    ['/a/*/b /c\n', 1, /a star can only stand at the end/],
    ['/a* /c\n', 1, /whole parts/],
    ['/a /b/:c\n', 1, /:c is in the target but not in the path/],
    ['/a https://api.example.org/:splat 200\n', 1, /another server/],
    ['/a /b$c\n', 1, /cannot have the character "\$"/],
    ['/a{2} /b\n', 1, /cannot have the character "\{"/],
  ])('%j is refused in line %d', (text, line, why) => {
    expect(() => parseRedirects(text)).toThrow(new RegExp(`^_redirects, line ${line}: .*${why.source}`))
  })
})

describe('_headers', () => {
  it('gives the headers below a path, and joins those of one name', () => {
    const rules = parseHeaders('/*\n  X-A: 1\n  # no\n  Link: a\n  link: b\n/x/*\n\tX-A: 2: 3\n')
    expect(rules.map(({ name, value, where }) => [where.line, name, value])).toEqual([
      [2, 'X-A', '1'],
      [4, 'Link', 'a, b'],
      [7, 'X-A', '2: 3'],
    ])
  })
  it.each([
    ['  X-A: 1\n', 1, /without a path/],
    ['/*\n  X A: 1\n', 2, /is no header/],
    ['/*\n  X-A 1\n', 2, /is no header/],
    ['/*\n  ETag: "1"\n', 2, /the server's own/],
    ['/*\n  X-A: $host\n', 2, /dollar sign/],
  ])('%j is refused in line %d', (text, line, why) => {
    expect(() => parseHeaders(text)).toThrow(new RegExp(`^_headers, line ${line}: .*${why.source}`))
  })
})

describe('static.json', () => {
  it('has the keys that Heroku knew', () => {
    const { value, warnings } = parseStaticJson(`{
      "root": "dist/", "clean_urls": true, "https_only": true, "error_page": "errors/x.html", "basic_auth": true, "encoding": "UTF-8",
      "logging": { "access": false },
      "redirects": { "/old/": { "url": "/new", "status": 302 } },
      "routes": { "/api/**": { "path": "a.html", "except": "/api/assets/" }, "/**": "index.html" },
      "headers": { "/**": { "X-A": "1" } },
      "colour": 1
    }`)
    expect(value).toMatchObject({
      root: 'dist',
      isClean: true,
      isHttpsOnly: true,
      auth: { kind: 'config' },
      charset: 'UTF-8',
      hasAccessLog: false,
      headers: [{ name: 'X-A', value: '1', where: { line: 6 } }],
    })
    expect(value.errorPages).toEqual(
      new Map([
        [404, '/errors/x.html'],
        [500, '/errors/x.html'],
      ]),
    )
    expect(value.rules?.map(({ status, target, where }) => [where.line, status, target])).toEqual([
      [4, 302, '/new'],
      [5, 200, '/a.html'],
      [5, 200, '/index.html'],
    ])
    expect(new RegExp(value.rules?.[1]?.except?.regex ?? '').test('/api/assets/x.js')).toBe(true)
    expect(warnings).toEqual(['static.json, line 7: "colour" is not known and has no effect'])
  })
  it.each([
    ['{\n "root": 1 }', /^static\.json, line 2: root must be a string/],
    ['{ "root": "../x" }', /is no folder of the app/],
    ['{ "root": "a@b" }', /is no folder of the app/],
    ['{ "https_only": "yes" }', /must be true or false/],
    ['{ "routes": {\n "/x": 3 } }', /^static\.json, line 2: a route leads to a file/],
    ['{ "redirects": { "/x": "/y" } }', /a redirect has a url/],
    ['{ "redirects": { "/x": { "url": "/y", "status": 404 } } }', /404 is no status of a redirect/],
    ['{ "headers": { "/x": { "X": 1 } } }', /must be a string/],
    ['{ "proxies": {} }', /cannot pass requests on/],
    ['{ "a": 1,\n}', /^static\.json, line 2: not JSON: /],
    ['[]', /^static\.json, line 1: has to be an object/],
  ])('%j is refused with line and rule', (text, why) => {
    expect(() => parseStaticJson(text)).toThrow(why)
  })
})

describe('Staticfile', () => {
  it('has the keys that Cloud Foundry knew', () => {
    const { value, warnings } = parseStaticfile(
      `---\nroot: public # here\ndirectory: visible\nssi: enabled\npushstate: "enabled"\nforce_https: true\nhttp_strict_transport_security: true\nhttp_strict_transport_security_include_subdomains: true\nlocation_include: includes/*.conf\nhost_dot_files: true\nstatus_codes:\n  404: /404.html\n  503: down.html\n`,
      true,
    )
    expect(value).toMatchObject({
      root: 'public',
      listsFolders: true,
      hasSsi: true,
      isHttpsOnly: true,
      hsts: 'max-age=31536000; includeSubDomains',
      include: 'nginx/conf/includes/*.conf',
      auth: { kind: 'file', path: 'Staticfile.auth' },
      rules: [{ status: 200, target: '/index.html', isForced: false }],
      errorPages: new Map([
        [404, '/404.html'],
        [503, '/down.html'],
      ]),
    })
    expect(warnings).toEqual(['Staticfile, line 10: files that begin with a dot are never served'])
  })
  it.each([
    ['root', 1, /expected {2}key: value/],
    ['\nssi: maybe', 2, /neither true nor false/],
    ['  root: x', 1, /stands below nothing/],
    ['status_codes:\n  200: /x', 2, /is no status of an error/],
  ])('%j is refused in line %d', (text, line, why) => {
    expect(() => parseStaticfile(text, false)).toThrow(new RegExp(`^Staticfile, line ${line}: .*${why.source}`))
  })
})

describe('a site', () => {
  it('without a word about it is the folder with the start page', () => {
    expect(sites({ 'index.html': '' }).value).toEqual({ ...PLAIN_SITE, root: '.' })
    expect(sites({ 'public/index.html': '' }).value.root).toBe('public')
    expect(sites({ 'static.json': '{}', 'public_html/index.html': '', 'index.html': '' }).value.root).toBe(
      'public_html',
    )
  })
  it('takes rules and headers of the folder that is served before those of the app, and _redirects before routes', () => {
    const { value } = sites({
      'static.json': '{"root": "dist", "routes": {"/**": "index.html"}, "headers": {"/**": {"X": "1"}}}',
      'dist/_redirects': '/a /b\n',
      _redirects: '/x /y\n',
      _headers: '/*\n  X: 2\n',
      'dist/404.html': '',
    })
    expect(value.rules.map(({ target }) => target)).toEqual(['/b', '/index.html'])
    expect(value.headers.map(({ value: text }) => text)).toEqual(['1', '2'])
    expect(value.isClean).toBe(true)
    expect(value.errorPages).toEqual(new Map([[404, '/404.html']]))
  })
  it('with two descriptions goes by static.json, and says so', () => {
    expect(sites({ 'static.json': '{}', Staticfile: 'root: x' }).warnings).toEqual([
      'Staticfile is not read, because there is a static.json',
    ])
  })
})

/** What stands outside quotes and comments: the directives and blocks, without their arguments. */
const skeleton = (conf: string): string =>
  conf
    .replaceAll(/^\s*#.*$/gm, '')
    .replaceAll(/"(?:\\.|[^"\\])*"/g, '""')
    .replaceAll(/'[^']*'/g, "''")

describe('nginx.conf of a site', () => {
  const server = '/layers/croft_static/nginx'
  const word = fc.string({
    unit: fc.constantFrom(...Array.from('ab/:*$"\'\\;{}()[]|.^ \n#~é@-')),
    minLength: 1,
    maxLength: 12,
  })

  it('has no directive that a file of the app brought in by its characters', () => {
    fc.assert(
      fc.property(word, word, word, (path, target, value) => {
        const files = {
          _redirects: `/${path} /${target} 302\n/${path} /${target} 308\n`,
          _headers: `/${path}\n  X-A: ${value}\n`,
        }
        let site
        try {
          site = sites(files).value
        } catch (error) {
          expect(error).toBeInstanceOf(BuildFailure)
          return
        }
        const statuses = site.rules.map(({ status }) => status)
        fc.pre(statuses.join() === '302,308' && site.headers.length === 1) // else a line has become two
        const plain = sites({ _redirects: '/a /b 302\n/a /b 308\n', _headers: '/a\n  X-A: b\n' }).value
        expect(skeleton(nginxConf(site, server))).toBe(skeleton(nginxConf(plain, server)))
      }),
      { numRuns: 500 },
    )
  })

  it('serves neither dotfiles nor what describes the site, and no file by its date', () => {
    const conf = nginxConf(PLAIN_SITE, server)
    expect(conf).toContain('location ~ "/\\\\.(?!well-known(?:/|$))" { return 404; }')
    expect(conf).toContain('_redirects|static\\\\.json')
    expect(conf).toContain('if_modified_since off;')
  })

  it('caches a file with a hash in its name, and no other', () => {
    const [, source = ''] =
      /map \$uri \$croft_cache \{ default no-cache; "~(.*)" "public/.exec(nginxConf(PLAIN_SITE, server)) ?? []
    const regex = new RegExp(source.replaceAll('\\\\', '\\'))
    const names = [
      'app-3f9c2a7b.js',
      'app.3f9c2a7b1e.css',
      'index-BX3kZ9aQ.js',
      'a.woff2',
      'my-document.js',
      'x-20240131.png',
      'app.js',
      'v-12345678.js',
    ]
    expect(names.filter((name) => regex.test(`/assets/${name}`))).toEqual([
      'app-3f9c2a7b.js',
      'app.3f9c2a7b1e.css',
      'index-BX3kZ9aQ.js',
    ])
  })
})
