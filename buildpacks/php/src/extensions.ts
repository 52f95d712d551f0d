import { BuildFailure } from '@croft/buildpack-kit'

/** Which Debian packages hold which extensions of PHP. Pure. */

export type PhpLine = '7.4' | '8.2' | '8.4'

const words = (text: string): string[] => text.trim().split(/\s+/)

/** In PHP itself or its package `common`, which is always there. */
const BUILT_IN = new Set(
  words(`calendar core ctype date exif ffi fileinfo filter ftp gettext hash iconv json libxml openssl pcntl pcre pdo phar posix
    random reflection session shmop sockets sodium spl standard sysvmsg sysvsem sysvshm tokenizer zlib`),
)

/** What every app gets, as on a usual host. */
const ALWAYS = words('bcmath curl gd intl mbstring mysql opcache pgsql readline sqlite3 xml zip')

/** Extensions whose package is called otherwise. */
const PACKAGED_IN: Record<string, string> = {
  dom: 'xml',
  simplexml: 'xml',
  xmlreader: 'xml',
  xmlwriter: 'xml',
  xsl: 'xml',
  mysqli: 'mysql',
  mysqlnd: 'mysql',
  pdo_mysql: 'mysql',
  pdo_pgsql: 'pgsql',
  pdo_sqlite: 'sqlite3',
  pdo_odbc: 'odbc',
  pdo_dblib: 'sybase',
  pdo_firebird: 'interbase',
  'zend-opcache': 'opcache',
}

/** Packages beside ALWAYS, by PHP's release line. */
const OWN: Record<PhpLine, ReadonlySet<string>> = {
  '7.4': new Set(words('bz2 dba enchant gmp imap interbase ldap odbc pspell snmp soap sybase tidy xmlrpc')),
  '8.2': new Set(words('bz2 dba enchant gmp imap interbase ldap odbc pspell snmp soap sybase tidy')),
  '8.4': new Set(words('bz2 dba enchant gmp interbase ldap odbc pspell snmp soap sybase tidy')),
}

/** From PECL, packaged by Debian. */
const PECL: Record<PhpLine, ReadonlySet<string>> = {
  '7.4': new Set(
    words(`amqp apcu ast ds excimer gearman geos gmagick gnupg http igbinary imagick mailparse memcache memcached mongodb
      msgpack oauth pcov propro ps psr raphf redis rrd solr ssh2 stomp tideways uopz uploadprogress uuid xdebug yac yaml zmq`),
  ),
  '8.2': new Set(
    words(`amqp apcu ast ds gearman gmagick gnupg http igbinary imagick mailparse maxminddb mcrypt memcache memcached mongodb
      msgpack oauth pcov pinba ps psr raphf redis rrd solr ssh2 stomp tideways uopz uploadprogress uuid xdebug xmlrpc yac
      yaml zmq`),
  ),
  '8.4': new Set(
    words(`amqp apcu ast ds excimer gearman gmagick gnupg http igbinary imagick inotify mailparse maxminddb mcrypt memcache
      memcached mongodb msgpack oauth pcov pq ps psr raphf redis rrd smbclient solr ssh2 stomp uopz uploadprogress uuid
      xdebug xmlrpc yac yaml zmq zstd`),
  ),
}

/**
 * The packages of PHP `line` with the extensions that are `wanted` (name to who asks) and those every app gets.
 * @throws BuildFailure for an extension that this Debian does not have
 */
export function extensionPackages(line: PhpLine, wanted: ReadonlyMap<string, string>): string[] {
  const packages = new Set(ALWAYS.map((name) => `php${line}-${name}`))
  for (const [extension, who] of wanted) {
    if (BUILT_IN.has(extension)) continue
    const name = PACKAGED_IN[extension] ?? extension
    if (ALWAYS.includes(name) || OWN[line].has(name)) packages.add(`php${line}-${name}`)
    else if (PECL[line].has(name)) packages.add(line === '7.4' ? `php-${name}` : `php${line}-${name}`)
    else throw missing(line, extension, who)
  }
  return [...packages].toSorted()
}

/**
 * The packages without the usual extension that the archive turned out not to have (its failure names the file), or null when it was
 * another one, or one that is `wanted`: nobody's build should fail for what he never asked for.
 */
export function withoutUnavailable(
  line: PhpLine,
  packages: readonly string[],
  failure: string,
  wanted: ReadonlyMap<string, string>,
): { packages: string[]; extension: string } | null {
  const name = new RegExp(`/php${line.replace('.', '\\.')}-([a-z0-9]+)_[^/ ]*\\.deb`).exec(failure)?.[1]
  if (name === undefined || !ALWAYS.includes(name)) return null
  if ([...wanted.keys()].some((extension) => (PACKAGED_IN[extension] ?? extension) === name)) return null
  const rest = packages.filter((each) => each !== `php${line}-${name}`)
  return rest.length === packages.length ? null : { packages: rest, extension: name }
}

function missing(line: PhpLine, extension: string, who: string): BuildFailure {
  const elsewhere = (Object.keys(OWN) as PhpLine[]).filter(
    (other) => other !== line && (OWN[other].has(extension) || PECL[other].has(extension)),
  )
  const there = elsewhere.map((other) => `PHP ${other}`).join(' and ')
  return new BuildFailure(
    `Debian has no extension ${extension} for PHP ${line}, which ${who} asks for`,
    there === ''
      ? `take ext-${extension} out, or a package that does without it`
      : `it is there for ${there}, or take ext-${extension} out`,
  )
}
