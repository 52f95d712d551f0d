import { describe, expect, it } from 'vitest'
import { composerWork, parseComposerJson } from './composer-json.js'
import { relocatedAutoloader } from './relocate.js'
import { composerFailure, installedCount } from './composer-messages.js'

describe("Debian's autoloaders", () => {
  it('find each other in the layer', () => {
    const text = `require_once '/usr/share/php/Psr/Log/autoload.php';\n// /usr/share/php/x and /usr/share/php2\n`
    expect(relocatedAutoloader(text, '/layers/p')).toBe(
      `require_once '/layers/p/usr/share/php/Psr/Log/autoload.php';\n// /usr/share/php/x and /usr/share/php2\n`,
    )
  })
})

describe('Composer', () => {
  const work = (manifest: object, ...files: string[]): object =>
    composerWork(parseComposerJson(JSON.stringify(manifest)), (file) => files.includes(file))

  it.each<[string, object, string[], object]>([
    ['has nothing to do for PHP alone', { require: { php: '^8' } }, [], { installs: false, isVendored: false }],
    ['installs what is required', { require: { 'a/b': '1' } }, [], { installs: true }],
    ['installs what is locked', {}, ['composer.lock'], { installs: true }],
    ['writes an autoloader', { autoload: {} }, [], { installs: true }],
    [
      'leaves a committed vendor alone',
      { require: { 'a/b': '1' } },
      ['vendor/autoload.php'],
      { installs: false, isVendored: true },
    ],
    [
      'knows where vendor is',
      { config: { 'vendor-dir': 'lib/php/' }, autoload: {} },
      ['lib/php/autoload.php'],
      { installs: false },
    ],
    ['runs the script compile', { scripts: { compile: 'x' } }, [], { installs: false, compiles: true }],
  ])('%s', (_rule, manifest, files, expected) => {
    expect(work(manifest, ...files)).toMatchObject(expected)
  })

  it('counts what it installed', () => {
    expect(installedCount('Package operations: 12 installs, 0 updates, 0 removals\n')).toBe(12)
    expect(installedCount('Nothing to install, update or remove\n')).toBeNull()
  })

  it.each([
    [
      '\nIn CurlDownloader.php line 365:\n\n  curl error 6 while downloading https://repo.packagist.org/packages.json: Co  \n  uld not resolve host: repo.packagist.org  \n\n\n',
      'repo.packagist.org cannot be reached, where Composer gets packages from: Co uld not resolve host: repo.packagist.org',
      /^commit the vendor folder/,
    ],
    [
      'The "https://repo.example.org/p.json" file could not be downloaded (HTTP/2 401 ):',
      'repo.example.org refuses access (401) to https://repo.example.org/p.json',
      /COMPOSER_AUTH/,
    ],
    [
      '- Required package "monolog/monolog" is not present in the lock file.\n',
      'composer.lock does not fit composer.json: monolog/monolog is missing from it',
      /^run composer update/,
    ],
    [
      'Your lock file does not contain a compatible set of packages. Please run composer update.\n\n  Problem 1\n    - a/b is locked to version 1.0.0 and an update of this package was not requested.\n    - a/b 1.0.0 requires php ^7.2 -> your php version (8.2.36) does not satisfy that requirement.\n',
      'composer.lock does not fit: a/b 1.0.0 requires php ^7.2 -> your php version (8.2.36) does not satisfy that requirement',
      /^run composer update/,
    ],
    [
      'Your requirements could not be resolved to an installable set of packages.\n\n  Problem 1\n    - Root composer.json requires a/b, it could not be found in any version.\n\n',
      'the packages in composer.json do not go together: Root composer.json requires a/b, it could not be found in any version',
      /composer update/,
    ],
    [
      'Script php artisan x handling the post-install-cmd event returned with error code 2',
      'the script php artisan x of composer.json failed with exit code 2',
      /release line/,
    ],
    [
      'Something else\n',
      'composer install failed with exit code 1: Something else',
      /composer install on your own machine/,
    ],
  ])('that says %j means it', (output, message, remedy) => {
    expect(composerFailure('install', 1, output)).toMatchObject({ message, remedy: expect.stringMatching(remedy) })
  })
})
