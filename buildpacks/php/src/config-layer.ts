import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { debsPaths, type Layer } from '@croft/buildpack-kit'
import { fpmConf } from './fpm-conf.js'
import { httpdConf } from './httpd-conf.js'
import { NGINX_DEFAULT, nginxConf } from './nginx-conf.js'
import { phpIni } from './php-ini.js'

/** Where a layer of packages has PHP. */
export interface Php {
  /** The layer of packages. */
  root: string
  /** `8.2`. */
  line: string
  /** Whether its nginx can be told by an option where to complain before it has read its configuration. */
  nginxHasErrorOption: boolean
}

const LAUNCH = join(process.env['CNB_BUILDPACK_DIR'] ?? '', 'launch')

/** The environment in which PHP of the layer runs, on top of another. */
export function phpEnvironment(php: Php, config: string, env: Record<string, string>): Record<string, string> {
  const libraries = [...debsPaths(php.root).lib, env['LD_LIBRARY_PATH'] ?? ''].filter((path) => path !== '')
  const path = [join(config, 'bin'), env['PATH'] ?? '/usr/bin:/bin'].join(':')
  return { ...env, PATH: path, PHPRC: config, LD_LIBRARY_PATH: libraries.join(':') }
}

/** Fills the layer that makes the packages work where they lie: programs by their usual names, and every configuration file. */
export function writeConfig(layer: Layer, php: Php): void {
  layer.clear()
  const bin = join(layer.path, 'bin')
  mkdirSync(bin)
  copyFileSync(join(LAUNCH, 'serve'), join(bin, 'serve'))
  chmodSync(join(bin, 'serve'), 0o755)
  for (const name of ['heroku-php-apache2', 'heroku-php-nginx']) symlinkSync('serve', join(bin, name))
  const program = join(php.root, 'usr/bin', `php${php.line}`)
  symlinkSync(program, join(bin, 'php'))
  const composer = join(php.root, 'usr/bin/composer')
  if (existsSync(composer)) symlinkSync(composer, join(bin, 'composer'))

  const api = join(php.root, 'usr/lib/php')
  const extensions = readdirSync(api).find((name) => /^\d{8}$/.test(name)) ?? ''
  const names = readdirSync(join(api, extensions))
    .filter((name) => name.endsWith('.so'))
    .map((name) => name.slice(0, -'.so'.length))
  const files: Record<string, string> = {
    'php.ini': phpIni(join(api, extensions), names),
    'php-fpm.conf': fpmConf(),
    'httpd.conf': httpdConf(php.root),
    'nginx.conf': nginxConf(php.root),
    'nginx-default.conf': NGINX_DEFAULT,
    paths: `php=${program}\nfpm=${join(php.root, 'usr/sbin', `php-fpm${php.line}`)}\nserver=${php.root}\nnginx_options=(${php.nginxHasErrorOption ? '-e stderr' : ''})\n`,
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(layer.path, name), content)
  layer.launchEnv({
    'PHPRC.default': layer.path,
    'LD_LIBRARY_PATH.prepend': debsPaths(php.root).lib.join(':'),
    'LD_LIBRARY_PATH.delim': ':',
  })
  layer.describe({ launch: true }, {})
}
