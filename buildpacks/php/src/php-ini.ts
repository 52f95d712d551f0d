/** The php.ini of an app. Pure. */

/** Extensions that others need before them, and those the engine loads itself. */
const LOAD_ORDER: Record<string, number> = {
  opcache: 0,
  mysqlnd: 1,
  pdo: 1,
  xml: 2,
  igbinary: 3,
  msgpack: 3,
  raphf: 3,
  // everything else is 4
  memcached: 5,
  redis: 5,
  http: 5,
  pq: 5,
  xdebug: 6,
}
const OTHERS = 4
const ZEND_EXTENSIONS = ['opcache', 'xdebug']

/** What a production system wants, where PHP's own defaults are for other times. */
const SETTINGS = `[PHP]
variables_order = EGPCS
output_buffering = 4096
short_open_tag = Off
expose_php = Off
error_reporting = E_ALL & ~E_DEPRECATED
display_errors = Off
display_startup_errors = Off
log_errors = On
html_errors = Off
memory_limit = 128M
zend.assertions = -1
zend.exception_ignore_args = On
realpath_cache_size = 4096K
date.timezone = UTC
session.save_path = /tmp
session.gc_probability = 1
session.gc_divisor = 1000
session.use_strict_mode = 1
session.cookie_httponly = 1
sys_temp_dir = /tmp
upload_tmp_dir = /tmp
opcache.enable = 1
opcache.memory_consumption = 64
opcache.interned_strings_buffer = 8
opcache.max_accelerated_files = 16229
`

/**
 * php.ini for the extensions whose files are `names` (`curl`, `opcache`, ...) in `extensionDirectory`, each after those it needs.
 */
export function phpIni(extensionDirectory: string, names: readonly string[]): string {
  const rank = (name: string): number => LOAD_ORDER[name] ?? OTHERS
  const sorted = names.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
  const lines = sorted.map((name) => `${ZEND_EXTENSIONS.includes(name) ? 'zend_extension' : 'extension'} = ${name}\n`)
  return `${SETTINGS}extension_dir = "${extensionDirectory}"\n${lines.join('')}`
}
