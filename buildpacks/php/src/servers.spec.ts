import { describe, expect, it } from 'vitest'
import { modPhpLine } from './htaccess.js'
import { phpIni } from './php-ini.js'
import { documentRoot, serversOf } from './servers.js'

describe('the web server of a PHP app', () => {
  it.each<[string | null, boolean, boolean, string[]]>([
    [null, true, false, []],
    ['web: heroku-php-apache2 public/\n', true, false, []],
    ['web: heroku-php-nginx -C nginx.conf web\n', false, true, []],
    ['web: heroku-php-nginx\nadmin: heroku-php-apache2\n', true, true, []],
    ['# web: heroku-php-nginx\nworker: php work.php\n', true, false, []],
    ['web: vendor/bin/heroku-php-nginx public\n', false, true, ['vendor/bin/heroku-php-nginx']],
  ])('follows the Procfile %j', (procfile, hasApache, hasNginx, composerPaths) => {
    expect(serversOf(procfile)).toEqual({ hasApache, hasNginx, composerPaths })
  })

  it.each([
    ['.', ['./index.php', 'public/index.php']],
    ['public', ['public/index.php', './index.html']],
    ['web', ['web/index.php']],
    ['public', ['public/index.html']],
    ['.', []],
  ])('serves %s of %j', (root, files) => {
    expect(documentRoot((file) => files.includes(file))).toBe(root)
  })
})

describe('php.ini', () => {
  it('loads what others need before them, and the engine’s own as such', () => {
    const ini = phpIni('/layers/x/ext', [
      'redis',
      'dom',
      'pdo_mysql',
      'xml',
      'igbinary',
      'mysqlnd',
      'pdo',
      'opcache',
      'mysqli',
    ])
    expect(ini).toContain('extension_dir = "/layers/x/ext"\n')
    expect([...ini.matchAll(/^(?:zend_)?extension = (\w+)$/gm)].map(([, name]) => name)).toEqual([
      'opcache',
      'mysqlnd',
      'pdo',
      'xml',
      'igbinary',
      'dom',
      'mysqli',
      'pdo_mysql',
      'redis',
    ])
    expect(ini).toContain('\nzend_extension = opcache\n')
  })
  it('shows no error to visitors', () => {
    expect(phpIni('/x', [])).toMatch(/^display_errors = Off$/m)
  })
})

describe('a setting for mod_php in .htaccess', () => {
  it.each([
    ['php_value upload_max_filesize 8M\n', 1],
    ['RewriteEngine On\n  php_flag display_errors on\n', 2],
    ['<IfModule mod_php7.c>\nphp_value a b\n</IfModule>\n', null],
    ['<IfModule mod_php.c>\n<IfModule x>\nphp_value a b\n</IfModule>\nphp_value a b\n</IfModule>\nphp_value c d\n', 7],
    ['<IfModule mod_rewrite.c>\nphp_value a b\n</IfModule>\n', 2],
    ['# php_value a b\n', null],
    ['', null],
  ])('of %j is in line %j', (text, line) => {
    expect(modPhpLine(text)).toBe(line)
  })
})
