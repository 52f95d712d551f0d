import { describe, expect, it } from 'vitest'
import { parseComposerJson, wantedExtensions } from './composer-json.js'
import { extensionPackages, withoutUnavailable, type PhpLine } from './extensions.js'

const usual = (line: PhpLine): string[] =>
  ['bcmath', 'curl', 'gd', 'intl', 'mbstring', 'mysql', 'opcache', 'pgsql', 'readline', 'sqlite3', 'xml', 'zip'].map(
    (name) => `php${line}-${name}`,
  )
const wanted = (...names: string[]): Map<string, string> => new Map(names.map((name) => [name, 'composer.json']))

describe('the extensions of an app', () => {
  it('are the usual ones when it asks for none', () => {
    expect(extensionPackages('8.2', wanted())).toEqual(usual('8.2'))
  })

  it.each<[PhpLine, string, string | null]>([
    ['8.2', 'json', null],
    ['8.2', 'pdo', null],
    ['8.2', 'dom', null],
    ['8.2', 'pdo_mysql', null],
    ['8.2', 'zend-opcache', null],
    ['8.2', 'soap', 'php8.2-soap'],
    ['8.2', 'pdo_odbc', 'php8.2-odbc'],
    ['8.2', 'redis', 'php8.2-redis'],
    ['7.4', 'redis', 'php-redis'],
    ['7.4', 'imap', 'php7.4-imap'],
    ['8.4', 'zstd', 'php8.4-zstd'],
  ])('PHP %s has %s in %s', (line, extension, name) => {
    const packages = extensionPackages(line, wanted(extension))
    expect(packages.filter((each) => !usual(line).includes(each))).toEqual(name === null ? [] : [name])
  })

  it.each<[PhpLine, string, RegExp, RegExp]>([
    [
      '8.4',
      'imap',
      /^Debian has no extension imap for PHP 8\.4, which composer\.json asks for$/,
      /^it is there for PHP 7\.4 and PHP 8\.2/,
    ],
    ['8.2', 'swoole', /no extension swoole for PHP 8\.2/, /^take ext-swoole out/],
  ])('PHP %s without %s is said with where it is', (line, extension, why, remedy) => {
    let error: unknown
    try {
      extensionPackages(line, wanted(extension))
    } catch (caught) {
      error = caught
    }
    expect(error).toMatchObject({ message: expect.stringMatching(why), remedy: expect.stringMatching(remedy) })
  })

  it('are asked for by composer.json and by locked packages, not by what only development needs', () => {
    const app = parseComposerJson(
      JSON.stringify({ require: { php: '^8.2', 'ext-GD': '*', 'a/b': '1' }, 'require-dev': { 'ext-xdebug': '*' } }),
    )
    const lock = JSON.stringify({
      platform: { php: '^8.2', 'ext-gd': '*' },
      packages: [{ name: 'a/b', require: { 'ext-redis': '^5' } }],
      'packages-dev': [{ name: 'c/d', require: { 'ext-pcov': '*' } }],
    })
    expect([...wantedExtensions(app, lock)]).toEqual([
      ['gd', 'composer.json'],
      ['redis', 'a/b'],
    ])
    expect([...wantedExtensions(null, null)]).toEqual([])
  })
})

describe('an extension that the archive does not give', () => {
  const failure = (file: string): string =>
    `Debian's archive did not give http://deb.example.org/pool/${file}: 404 Not Found`
  it('is left out when it is a usual one that nobody asked for', () => {
    const packages = [...usual('7.4'), 'php7.4-cli']
    const left = withoutUnavailable(
      '7.4',
      packages,
      failure('php7.4-bcmath_7.4.33-1%2bdeb11u12_amd64.deb'),
      wanted('gd'),
    )
    expect(left).toEqual({ extension: 'bcmath', packages: packages.filter((name) => name !== 'php7.4-bcmath') })
  })
  it.each([
    ['php7.4-sqlite3_1_amd64.deb', ['pdo_sqlite']],
    ['php7.4-soap_1_amd64.deb', ['soap']],
    ['php7.4-fpm_1_amd64.deb', []],
    ['libicu67_67_amd64.deb', []],
  ])('fails the build when it is %s, and %j was asked for', (file, names) => {
    expect(withoutUnavailable('7.4', usual('7.4'), failure(file), wanted(...names))).toBeNull()
  })
})

describe('a composer.json', () => {
  it.each([
    ['{\n  "a": 1,\n}', /^composer\.json, line 3: not JSON: /],
    ['[]', /^composer\.json, line 1: has to be an object/],
    ['{\n"require": {\n"php": "eight" } }', /^composer\.json, line 3: "eight" is no constraint on PHP's version/],
    ['{"config": {"vendor-dir": "../x"}}', /^composer\.json, line 1: config\.vendor-dir must be a folder of the app/],
  ])('%j is refused with file, line and rule', (text, why) => {
    expect(() => parseComposerJson(text)).toThrow(why)
  })
  it('of an odd shape asks for nothing', () => {
    expect(parseComposerJson('{"require": [], "scripts": "x", "config": null}')).toEqual({
      require: {},
      scripts: [],
      hasAutoload: false,
      vendorDirectory: 'vendor',
    })
  })
})
