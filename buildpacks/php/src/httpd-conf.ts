/** The configuration of Apache in front of php-fpm. Pure. */

/** What an `.htaccess` written for a usual host finds. */
const MODULES = [
  'mpm_event',
  'access_compat',
  'actions',
  'alias',
  'allowmethods',
  'auth_basic',
  'auth_digest',
  'authn_anon',
  'authn_core',
  'authn_file',
  'authz_core',
  'authz_groupfile',
  'authz_host',
  'authz_user',
  'autoindex',
  'brotli',
  'deflate',
  'dir',
  'env',
  'expires',
  'filter',
  'headers',
  'include',
  'mime',
  'negotiation',
  'proxy',
  'proxy_fcgi',
  'proxy_http',
  'proxy_wstunnel',
  'remoteip',
  'reqtimeout',
  'request',
  'rewrite',
  'setenvif',
  'speling',
  'substitute',
  'unique_id',
]

/** Addresses a request can come from that went through the router. */
export const PROXIES = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
]

/** Text that is worth the time to compress it. */
const COMPRESSED =
  'text/html text/plain text/css text/xml text/javascript application/javascript application/json application/xml application/rss+xml application/manifest+json image/svg+xml'

/** Describes the app to whoever builds it, and nobody else. */
export const BUILD_FILES = 'composer\\.(?:json|lock)|auth\\.json|Procfile|app\\.json|project\\.toml|Aptfile'

/**
 * httpd.conf over the packages unpacked at `server`. \`serve\` sets the variables: CROFT_RUN is a folder of this instance,
 * DOCUMENT_ROOT what is served, CROFT_RELEASE changes with every release, CROFT_SERVER_INCLUDE is a file of the app's for the
 * virtual host.
 */
export function httpdConf(server: string): string {
  const loads = MODULES.map((name) => `LoadModule ${name}_module ${server}/usr/lib/apache2/modules/mod_${name}.so\n`)
  return `ServerRoot \${CROFT_RUN}
DefaultRuntimeDir \${CROFT_RUN}
PidFile \${CROFT_RUN}/httpd.pid
${loads.join('')}
Listen \${PORT}
ServerName localhost
ServerTokens Prod
ServerSignature Off
TraceEnable Off
Timeout 300
ProxyTimeout 3600
KeepAlive On
KeepAliveTimeout 5
GracefulShutdownTimeout 25
RequestReadTimeout header=20-60,MinRate=500 body=20,MinRate=500

StartServers 1
ServerLimit 4
ThreadsPerChild 50
MaxRequestWorkers 200
MinSpareThreads 1
MaxSpareThreads 200
ThreadLimit 50

ErrorLog /proc/self/fd/2
LogLevel warn
ErrorLogFormat "[%-m:%l] %M"
LogFormat "%a %l %u \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" access
CustomLog /proc/self/fd/1 access

# The router says where a request came from; whatever a client said of it before never gets here.
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy ${PROXIES.join(' ')}
RequestHeader set X-Forwarded-For expr=%{REMOTE_ADDR}
SetEnvIf X-Forwarded-Proto "^https$" HTTPS=on

TypesConfig ${server}/etc/mime.types
AddType application/x-httpd-php .php
AddDefaultCharset Off
AddOutputFilterByType DEFLATE ${COMPRESSED}
DirectoryIndex index.php index.html index.htm

<Directory "/">
  AllowOverride None
  Require all denied
</Directory>

DocumentRoot "\${DOCUMENT_ROOT}"
<Directory "\${DOCUMENT_ROOT}">
  Options FollowSymLinks
  AllowOverride All
  Require all granted
  CGIPassAuth On
</Directory>

# Never served, whatever an .htaccess says: dotfiles but for .well-known, and what describes the app to its build.
RedirectMatch 404 "/\\.(?!well-known(?:/|$))"
RedirectMatch 404 "^/(?:${BUILD_FILES})$"
<Files ".?*">
  Require all denied
</Files>

<FilesMatch "\\.php$">
  <If "-f %{REQUEST_FILENAME}">
    SetHandler "proxy:unix:\${CROFT_RUN}/php.sock|fcgi://localhost"
  </If>
</FilesMatch>

# The date of a file in an image says nothing, and its size little: an answer is known by its release too. Pages that PHP makes
# keep what they say of themselves.
FileETag Size
DeflateAlterETag NoChange
<FilesMatch "(?<!\\.php)$">
  <If "-f %{REQUEST_FILENAME}">
    RequestHeader unset If-Modified-Since
    RequestHeader unset If-None-Match "expr=%{req_novary:If-None-Match} !~ m#r\${CROFT_RELEASE}[.]#"
    RequestHeader edit* If-None-Match "r\${CROFT_RELEASE}[.]" ""
    Header unset Last-Modified
    Header edit ETag "^(W/)?.(.*)$" "W/\\"r\${CROFT_RELEASE}.$2"
  </If>
</FilesMatch>

IncludeOptional "\${CROFT_SERVER_INCLUDE}"
`
}
