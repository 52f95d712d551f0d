import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from './support/build-needs.js'
import type { Pushed } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import type { Serving } from './support/running-image.js'
import { exampleFiles } from './support/source-trees.js'

/** PHP apps and static sites from source to answers, in containers; packages come from the Debian archives of this host. */
const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let rig: BuildRig
/** The two examples; what is built after them takes their layers of packages. */
let plain: Pushed
let site: Pushed
beforeAll(async () => {
  if (needs !== null) return
  rig = await buildRig('10.222.232.0/22')
  plain = await rig.build(exampleFiles('php-plain'))
  site = await rig.build(exampleFiles('static'))
})
afterAll(async () => await rig?.close())

type Succeeded = Extract<Pushed['result'], { outcome: 'succeeded' }>

function succeeded({ result, log }: Pushed): Succeeded {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}\n${log}`)
  return result
}
const refused = ({ result, log }: Pushed): string => {
  if (result.outcome !== 'failed') throw new Error(`the build succeeded\n${log}`)
  return result.message
}
const after = (pushed: Pushed): { previousImage: string } => ({ previousImage: succeeded(pushed).image })
const serve = (pushed: Pushed, ...env: string[]): Promise<Serving> =>
  rig.serve(succeeded(pushed).image, '/cnb/process/web', ['PORT=8080', 'CROFT_RELEASE=3', ...env])
/** The status and headers of an answer, by a curl inside. */
const head = (run: Serving, path: string, ...options: string[]): Promise<string> =>
  run.sh(
    `curl -s -o /dev/null -D - ${options.map((option) => `-H '${option}'`).join(' ')} 'http://127.0.0.1:8080${path}'`,
  )

describe.skipIf(needs !== null)('a plain PHP app', () => {
  const files = needs === null ? exampleFiles('php-plain') : {}
  let run: Serving
  beforeAll(async () => {
    run = await serve(plain)
  })
  afterAll(async () => await run?.end())

  it('is built from Debian’s packages', () => {
    expect(plain.log).toMatch(/^-----> PHP app detected +\d+\.\d s$/m)
    expect(plain.log).toMatch(/^-----> Installing PHP 8\.2 with Apache$/m)
    expect(plain.log).toMatch(/^ {7}\d+ Debian packages, \d+\.\d MB +\d+\.\d s$/m)
    expect(plain.log).toMatch(/^[\n -~]*$/) // ASCII
    expect(succeeded(plain).processTypes).toMatchObject({ web: { command: 'heroku-php-apache2' } })
  })

  it('is served by Apache and php-fpm, with its .htaccess and its .user.ini', async () => {
    expect(await run.get('/')).toMatch(/^Hello from PHP 8\.2\.\d+ on Croft\n$/)
    expect(await run.get('/greet/Ada?x=1')).toBe('Good day, Ada\n')
    expect(await run.sh('cat /proc/[0-9]*/comm | sort | uniq -c | grep -c "apache2\\|php-fpm"')).toBe('2\n')
  })

  it('shows neither dotfiles nor the files of its build, however they are spelt', async () => {
    for (const path of ['/.htaccess', '/.user.ini', '/%2ehtaccess', '/x/../.htaccess', '/.git/config', '/Procfile']) {
      expect(await head(run, path), path).toMatch(/^HTTP\/1\.1 404 /)
    }
  })

  it('says of a file which release it is from, and takes no date for an answer', async () => {
    const css = await serve(await rig.build({ ...files, 'a.css': 'a{}' }, after(plain)))
    await css.get('/')
    const tag = /^ETag: (.*)\r$/m.exec(await head(css, '/a.css'))?.[1] ?? ''
    expect(tag).toMatch(/^W\/"r3\./)
    expect(await head(css, '/a.css', `If-None-Match: ${tag}`)).toMatch(/^HTTP\/1\.1 304 /)
    const other = [`If-None-Match: ${tag.replace('r3', 'r2')}`, 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT']
    expect(await head(css, '/a.css', ...other)).toMatch(/^HTTP\/1\.1 200 /)
    await css.end()
  })

  it('built again takes the packages it had, and is the same image', async () => {
    const again = await rig.build(files, after(plain))
    expect(again.log).toMatch(/Debian packages unchanged/)
    expect(succeeded(again)).toMatchObject({ image: succeeded(plain).image, newLayers: 0 })
  })

  it('gives php to every process', async () => {
    const line = `php -r 'echo ini_get("display_errors"), "|", PHP_SAPI, "|", implode(" ", array_intersect(["intl", "gd", "pdo_pgsql", "Zend OPcache"], get_loaded_extensions()));'`
    const { output } = await rig.runIn(succeeded(plain).image, ['/cnb/lifecycle/launcher', line])
    expect(output).toBe('|cli|intl gd pdo_pgsql Zend OPcache')
  })
})

describe.skipIf(needs !== null)('a PHP app with composer.json', () => {
  const greeter = {
    'packages/greet/composer.json': JSON.stringify({
      name: 'acme/greet',
      version: '1.0.0',
      autoload: { 'psr-4': { 'Acme\\': 'src/' } },
    }),
    'packages/greet/src/Greet.php': '<?php namespace Acme; class Greet { static function hi() { return "hi"; } }\n',
  }
  const repositories = [{ type: 'path', url: 'packages/greet' }, { 'packagist.org': false }]
  const app = (more: object, files: Record<string, string> = {}): Record<string, string> => ({
    'composer.json': JSON.stringify({ require: { php: '8.2.*' }, ...more }),
    'public/index.php':
      '<?php require "../vendor/autoload.php"; echo Acme\\Greet::hi(), " ", $_SERVER["REMOTE_ADDR"], extension_loaded("soap") ? "" : " no soap";\n',
    ...files,
  })

  it.runIf(isLong)(
    'has its dependencies installed, and served from public by nginx where the Procfile says so',
    async () => {
      const files = app(
        {
          require: { php: '8.2.*', 'acme/greet': '^1', 'ext-soap': '*' },
          repositories,
          scripts: { compile: 'echo compiled' },
        },
        {
          ...greeter,
          Procfile: 'web: vendor/bin/heroku-php-nginx -C site.conf public/\n',
          'site.conf': 'location / { try_files $uri /index.php$is_args$args; }\n',
        },
      )
      const first = await rig.build(files)
      expect(first.log).toMatch(/^-----> Installing PHP 8\.2 with nginx$/m)
      expect(first.log).toMatch(/there is no composer\.lock/)
      expect(first.log).toMatch(/^ {7}composer install: 1 package +\d/m)
      expect(first.log).toMatch(/^-----> Running the script compile$/m)
      const run = await serve(first)
      expect(await run.get('/any/path')).toMatch(/^hi \d/)
      expect(await run.sh(`curl -s -H 'X-Forwarded-For: 203.0.113.9' http://127.0.0.1:8080/`)).toBe('hi 203.0.113.9')
      await run.end()
      const again = await rig.build(files, { previousImage: succeeded(first).image })
      expect(again.log).toMatch(/^ {7}dependencies unchanged +/m)
      expect(succeeded(again)).toMatchObject({ image: succeeded(first).image, newLayers: 0 })
    },
  )

  it.skipIf(!isLong)('has its assets built by Node.js beforehand', async () => {
    const scripts = { build: `node -e "require('fs').writeFileSync('public/app.js', 'built by ' + process.version)"` }
    const files = {
      'composer.json': '{}',
      'package.json': JSON.stringify({ name: 'assets', private: true, engines: { node: '24' }, scripts }),
      'public/index.php': '<?php echo "page";\n',
    }
    const pushed = await rig.build(files, after(plain))
    expect(succeeded(pushed).processTypes).toMatchObject({ web: { command: 'heroku-php-apache2 public' } })
    const run = await serve(pushed)
    expect(await run.get('/')).toBe('page')
    expect(await run.get('/app.js')).toMatch(/^built by v24\./)
    await run.end()
  })

  it('is not built with what this stack or Debian does not have, and told what there is', async () => {
    expect(refused(await rig.build(app({ require: { php: '7.4.*' } })))).toBe(
      'the stack debian-12 has PHP 8.2, not PHP 7.4.x, which composer.json asks for',
    )
    expect(refused(await rig.build(app({ require: { php: '8.2.0' } }), after(plain)))).toMatch(
      /^Debian 12 has PHP 8\.2\.\d+, not PHP 8\.2\.0, which composer\.json asks for$/,
    )
    expect(refused(await rig.build(app({ require: { 'ext-swoole': '*' } })))).toBe(
      'Debian has no extension swoole for PHP 8.2, which composer.json asks for',
    )
    expect(refused(await rig.build(app({}, { 'composer.json': '{\n  "require": {,\n}' })))).toMatch(
      /^composer\.json, line 2: not JSON: /,
    )
  })
})

/** Two more stacks are made for it, which takes minutes. */

describe.skipIf(needs !== null || !isLong)('PHP of another stack', () => {
  it.each([
    ['7.4', 'debian-11'],
    ['8.4', 'debian-13'],
  ])(
    '%s on %s serves beside that of debian-12, with its .htaccess and with Composer',
    async (line, stack) => {
      const files = {
        ...exampleFiles('php-plain'),
        'composer.json': JSON.stringify({
          require: { php: `${line}.*`, 'ext-redis': '*' },
          autoload: { files: ['one.php'] },
        }),
        'one.php': '<?php const ONE = 1;\n',
        'all.php':
          '<?php require "vendor/autoload.php"; echo PHP_VERSION, " ", ONE, " ", extension_loaded("redis") ? "redis" : "-";\n',
      }
      const appId = `01890000-0000-7000-8000-0000000000${line.replace('.', '')}`
      const pushed = await rig.build(files, { appId, change: { stack, timeoutMs: 1_200_000 } })
      const [run, present] = await Promise.all([serve(pushed), serve(plain)])
      expect(await run.get('/all.php')).toMatch(new RegExp(`^${line}\\.\\d+ 1 redis$`))
      expect(await run.get('/greet/Ada')).toBe('Good day, Ada\n')
      expect(await present.get('/')).toMatch(/^Hello from PHP 8\.2/)
      await Promise.all([run.end(), present.end()])
    },
    1_500_000,
  )
})

describe.skipIf(needs !== null)('the servers of a PHP app', () => {
  let image: string
  beforeAll(async () => {
    const pages = { 'index.php': '<?php error_log("a word"); echo "up";', 'slow.php': '<?php sleep(1); echo "done";' }
    image = succeeded(await rig.build(pages, after(plain))).image
  })
  const start = (line: string): string => `PORT=8080 CROFT_RELEASE=1 heroku-php-apache2 ${line}`
  const script = (...lines: string[]): string[] => ['/cnb/lifecycle/launcher', lines.join('\n')]
  const up = 'for i in $(seq 100); do curl -sf -o /dev/null http://127.0.0.1:8080/ && break; sleep 0.05; done'

  it('end running requests after SIGTERM, and with them themselves', async () => {
    const { output } = await rig.runIn(
      image,
      script(
        `${start('')} 2>&1 & pid=$!`,
        up,
        'curl -s http://127.0.0.1:8080/slow.php & curl=$!',
        'sleep 0.3',
        'kill $pid',
        'wait $curl; wait $pid; echo " exit $?"',
      ),
    )
    expect(output).toMatch(/done/)
    expect(output).toMatch(/ exit 0\n$/)
    expect(output).toMatch(/^\[.*\] a word$/m) // what PHP logs is in the log of the instance
    expect(output).toMatch(/"GET \/ HTTP\/1\.1" 200/)
  })
  // brackets: the shell that looks for it has the pattern in its own arguments
  it.each(['[p]hp-fpm: master', '[s]bin/apache2'])('die together when %s does', async (name) => {
    const kill = `kill -9 $(grep -la '${name}' /proc/[0-9]*/cmdline | cut -d/ -f3 | sort -n | head -n 1)`
    const { output } = await rig.runIn(image, script(`${start('')} & pid=$!`, up, kill, 'wait $pid; echo "exit $?"'))
    expect(output).toMatch(/the other one is stopped/)
    expect(output).toMatch(/exit 137\n/)
  })
  it('die together also when one does before the other listens', async () => {
    const listens =
      "until ls /tmp/php.*/php.sock && grep -qa '[p]hp-fpm: master' /proc/[0-9]*/cmdline; do :; done >/dev/null 2>&1"
    const kill = "kill -9 $(grep -la '[p]hp-fpm: master' /proc/[0-9]*/cmdline | cut -d/ -f3)"
    const { output } = await rig.runIn(
      image,
      script(`${start('')} & pid=$!`, listens, kill, 'wait $pid; echo "exit $?"'),
    )
    expect(output).toMatch(/php-fpm ended with exit code 137/)
    expect(output).toMatch(/exit (1|137)\n$/)
  })
  it.each([
    ['-C nothing.conf', /-C nothing\.conf: there is no such file/],
    ['nowhere', /the document root nowhere does not exist/],
    ['-x', /-x is no option/],
  ])('called with %s say what is wrong', async (args, why) => {
    const { output, exitCode } = await rig.runIn(image, script(start(args)))
    expect(output).toMatch(why)
    expect(exitCode).toBe(1)
  })
  it('show the log files of the app that they are told of', async () => {
    const show = 'for i in $(seq 100); do grep -q mine out && break; echo mine >>log/a.log; sleep 0.1; done; cat out'
    const { output } = await rig.runIn(
      image,
      script(
        'mkdir log',
        `${start('-v -l log/a.log')} >out 2>&1 & pid=$!`,
        up,
        show,
        'kill $pid; wait $pid; echo "exit $?"',
      ),
    )
    expect(output).toMatch(/^mine$/m)
    expect(output).toMatch(/exit 0\n$/)
  })
  it('have as many workers as memory allows', async () => {
    const { output } = await rig.runIn(
      image,
      script(
        'echo "memory_limit = 1G" >.user.ini',
        `${start('')} & pid=$!`,
        up,
        'kill $pid; wait $pid',
        `WEB_CONCURRENCY=7 ${start('')} & pid=$!`,
        up,
        'kill $pid; wait $pid',
      ),
    )
    expect(output).toMatch(/workers: 1$/m)
    expect(output).toMatch(/workers: 7$/m)
  })
})

describe.skipIf(needs !== null)('a static site', () => {
  let run: Serving
  beforeAll(async () => {
    run = await serve(site)
  })
  afterAll(async () => await run?.end())

  it('is served as its static.json says, by one small layer of nginx', async () => {
    expect(site.log).toMatch(/^-----> Static site detected +\d/m)
    expect(site.log).toMatch(/^ {7}serving public with 1 rule and 1 header$/m)
    expect(await run.get('/')).toContain('Hello from a static site on Croft')
    expect(await run.get('/about')).toContain('About this site')
    expect(await run.get('/nothing')).toContain('There is no such page')
    expect(await head(run, '/company')).toMatch(/^HTTP\/1\.1 301 [\s\S]*^Location: \/about\r$/m)
    expect(await head(run, '/')).toMatch(/^X-Content-Type-Options: nosniff\r$/m)
  })
  it('is cached by release, and compressed', async () => {
    const answer = await head(run, '/', 'Accept-Encoding: gzip')
    expect(answer).toMatch(/^ETag: W\/"r3"\r$/m)
    expect(answer).toMatch(/^Cache-Control: no-cache\r$/m)
    expect(answer).not.toMatch(/^Last-Modified/m)
    expect(await head(run, '/', 'If-None-Match: W/"r3"')).toMatch(/^HTTP\/1\.1 304 /)
    expect(await head(run, '/', 'If-None-Match: W/"r2"')).toMatch(/^HTTP\/1\.1 200 /)
  })
  it('of a Staticfile, with redirects of any kind, keeps to its files', async () => {
    const files = {
      Staticfile: 'root: site\npushstate: enabled\n',
      'site/index.html': 'start',
      'site/.env': 'secret',
      _redirects: '/old/* /new/:splat 301\n/move/* /new/:splat 308\n/in/* /:splat 200\n/gone /index.html 410\n',
    }
    const other = await serve(await rig.build(files, after(site)))
    const paths: [string, RegExp][] = [
      ['/any/page', /^HTTP\/1\.1 200 /],
      ['/.env', /^HTTP\/1\.1 404 /],
      ['/in/.env', /^HTTP\/1\.1 404 /],
      ['/in/%2e%2e/%2e%2e/etc/passwd', /^HTTP\/1\.1 400 /],
      ['/old/a%20b?x=1', /^Location: \/new\/a%20b\?x=1\r$/m],
      ['/old/a%0d%0aX-Bad:%201', /^HTTP\/1\.1 404 /],
      ['/move/a', /^HTTP\/1\.1 308 [\s\S]*^Location: \/new\/a\r$/m],
      ['/move/a%0d%0aX-Bad:%201', /^HTTP\/1\.1 404 /],
      ['/gone', /^HTTP\/1\.1 410 /],
    ]
    await other.get('/')
    for (const [path, expected] of paths) {
      const answer = await head(other, path)
      expect(answer, path).toMatch(expected)
      expect(answer, path).not.toMatch(/^X-Bad/m)
    }
    await other.end()
  })
  it('with basic_auth does not start without a name and password, and asks for them', async () => {
    const files = { 'static.json': '{"root": ".", "basic_auth": true}', 'index.html': 'inside' }
    const pushed = await rig.build(files, after(site))
    const { exitCode, output } = await rig.runIn(succeeded(pushed).image, ['/cnb/process/web'])
    expect(exitCode).toBe(1)
    expect(output).toMatch(/set the config vars BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD/)
    const guarded = await serve(pushed, 'BASIC_AUTH_USERNAME=ada', 'BASIC_AUTH_PASSWORD=a pass: word')
    await guarded.get('/')
    expect(await head(guarded, '/')).toMatch(/^HTTP\/1\.1 401 /)
    expect(await guarded.sh(`curl -s -u 'ada:a pass: word' http://127.0.0.1:8080/`)).toBe('inside')
    await guarded.end()
  })
  it('that is described wrongly is refused with file, line and rule', async () => {
    expect(refused(await rig.build({ 'index.html': '', _redirects: '/a /b\n/c\n' }))).toBe(
      '_redirects, line 2: /c leads nowhere',
    )
    expect(refused(await rig.build({ 'static.json': '{"root": "dist"}' }))).toBe(
      'the folder dist, which is to be served, is not in the app',
    )
  })
})
