import { namesIn } from './redirects-file.js'
import type { PathPattern, Rule, Site } from './site.js'

/** nginx.conf of a static site. Pure. */

/** Text that is worth the time to compress it. */
const COMPRESSED =
  'text/plain text/css text/xml text/javascript application/javascript application/json application/xml application/rss+xml application/atom+xml application/manifest+json application/wasm image/svg+xml font/ttf'
/** Addresses a request can come from that went through the router. */
const PROXIES = ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16']
/** Files that say how the site is built and served. */
const BUILD_FILES = [
  '_headers',
  '_redirects',
  'static\\.json',
  'Staticfile(?:\\.auth)?',
  'Procfile',
  'app\\.json',
  'project\\.toml',
  'Aptfile',
]
/** A name with a hash of its content in it, as bundlers write them: such a file never changes. */
const FINGERPRINTED =
  '[.-](?:(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{8,64}|(?=[\\w-]*[0-9])(?=[\\w-]*[A-Z])(?=[\\w-]*[a-z])[\\w-]{8})\\.(?:m?js|css|map|woff2?|ttf|png|jpe?g|gif|svg|webp|avif|ico|wasm|mp4|webm)$'
const TEMPORARY = ['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi']
/** Status codes nobody uses, by which pages for 404 and 410 that only one rule has are told apart. */
const FIRST_OWN_CODE = 460

/** Text between double quotes. */
const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

/**
 * The configuration over the packages unpacked at `server`. `serve` puts in what stands between at signs: RUN, a folder of this
 * instance, PORT, RELEASE, which changes with every release, and ROOT, the app's folder.
 */
export function nginxConf(site: Site, server: string): string {
  const root = site.root === '.' ? '@ROOT@' : `@ROOT@/${site.root}`
  const own = ownPages(site.rules, site.errorPages)
  return `worker_processes 2;
pid @RUN@/nginx.pid;
error_log stderr warn;
daemon off;
events { worker_connections 1024; }

http {
  include "${server}/etc/nginx/mime.types";
  types { text/javascript mjs; application/manifest+json webmanifest; }
  default_type application/octet-stream;
  charset ${site.charset};
  charset_types text/plain text/css text/javascript application/javascript application/json application/manifest+json;
  log_format access '$remote_addr - $remote_user "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';
  access_log ${site.hasAccessLog ? '/proc/self/fd/1 access' : 'off'};
  uninitialized_variable_warn off;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
${TEMPORARY.map((name) => `  ${name}_temp_path @RUN@/${name};\n`).join('')}
  gzip on;
  gzip_static on;
  gzip_vary on;
  gzip_proxied any;
  gzip_min_length 512;
  gzip_comp_level 5;
  gzip_types ${COMPRESSED};

${PROXIES.map((range) => `  set_real_ip_from ${range};\n`).join('')}  real_ip_header X-Forwarded-For;

  # The date of a file in an image says nothing: an answer is known by its release, and files with a hash in their name never change.
  map $uri $croft_cache { default no-cache; ${quoted(`~${FINGERPRINTED}`)} "public, max-age=31536000, immutable"; }
${headerMaps(site)}
  server {
    listen @PORT@ backlog=511;
    server_name _;
    root "${root}";
    index index.html index.htm;
    absolute_redirect off;
    etag off;
    if_modified_since off;
${site.listsFolders ? '    autoindex on;\n' : ''}${site.hasSsi ? '    ssi on;\n' : ''}${auth(site)}
    add_header ETag 'W/"@RELEASE@"';
    add_header Last-Modified "";
${headerNames(site)
  .map((name, index) => `    add_header ${name} $croft_header_${index};\n`)
  .join(
    '',
  )}${[...site.errorPages].map(([status, path]) => `    error_page ${status} ${quoted(path)};\n`).join('')}${[...own].map(([page, code]) => `    error_page ${code} =${page.slice(0, 3)} ${quoted(page.slice(4))};\n`).join('')}
${site.isHttpsOnly ? '    if ($http_x_forwarded_proto = http) { return 301 https://$host$request_uri; }\n' : ''}${rules(site, own)}
    location ~ ${quoted('/\\.(?!well-known(?:/|$))')} { return 404; }
    location ~ ${quoted(`^/(?:${BUILD_FILES.join('|')})$`)} { return 404; }
    location / {
${site.include === null ? `      try_files ${site.isClean ? '$uri.html $uri $uri/' : '$uri $uri/'} =404;\n` : `      include "@ROOT@/${site.include}";\n`}    }
  }
}
`
}

function auth(site: Site): string {
  if (site.auth === null) return ''
  const file = site.auth.kind === 'config' ? '@RUN@/htpasswd' : `@ROOT@/${site.auth.path}`
  return `    auth_basic "Restricted";\n    auth_basic_user_file "${file}";\n`
}

/** Headers of answers, each name once; the caching that files have by default is one of them. */
function headerNames(site: Site): string[] {
  const names = new Map([['cache-control', 'Cache-Control']])
  if (site.hsts !== null) names.set('strict-transport-security', 'Strict-Transport-Security')
  for (const { name } of site.headers) names.set(name.toLowerCase(), names.get(name.toLowerCase()) ?? name)
  return [...names.values()]
}

/** One map for each header: the last rule for a path comes first, as the first that fits is taken. */
function headerMaps(site: Site): string {
  return headerNames(site)
    .map((name, index) => {
      const fallback = { 'cache-control': '$croft_cache', 'strict-transport-security': quoted(site.hsts ?? '') }[
        name.toLowerCase()
      ]
      const lines = site.headers
        .filter((rule) => rule.name.toLowerCase() === name.toLowerCase())
        .toReversed()
        .map((rule) => `    ${quoted(`~${rule.path.regex}`)} ${quoted(rule.value)};\n`)
      const unique = [
        ...new Map(lines.toReversed().map((line) => [line.slice(0, line.lastIndexOf('" "')), line])).values(),
      ].toReversed()
      return `  map $croft_path $croft_header_${index} {\n    default ${fallback ?? '""'};\n${unique.join('')}  }\n`
    })
    .join('')
}

/** Pages for 404 and 410 that are not the site's own, by status and path. */
function ownPages(all: readonly Rule[], errorPages: Site['errorPages']): Map<string, number> {
  const pages = all
    .filter((rule) => rule.status >= 400 && rule.target !== null && errorPages.get(rule.status) !== rule.target)
    .map((rule) => `${rule.status} ${rule.target}`)
  return new Map([...new Set(pages)].map((page, index) => [page, FIRST_OWN_CODE + index]))
}

/**
 * What is done before a file is looked for, once for each request. `$croft_path` is the path as it was asked for; `$croft_pass` is 1
 * as long as nothing was taken for another; `$croft_free` is 1 where there is no file.
 */
function rules(site: Site, own: ReadonlyMap<string, number>): string {
  const head = `    set $croft_pass 2;
    if ($croft_path = "") { set $croft_pass 1; }
    if ($croft_path = "") { set $croft_path $uri; }
    if ($http_if_none_match ~ ${quoted('"@RELEASE@"')}) { return 304; }
`
  if (site.rules.length === 0) return head
  const clean = site.isClean ? '    if (-f "$request_filename.html") { set $croft_free 0; }\n' : ''
  return `${head}    set $croft_free 1;
    if (-f $request_filename) { set $croft_free 0; }
    if (-f "$request_filename/index.html") { set $croft_free 0; }
${clean}${site.rules.map((rule, index) => oneRule(rule, index, own)).join('')}`
}

function oneRule(rule: Rule, index: number, own: ReadonlyMap<string, number>): string {
  const { path, except, host, query, status, isForced, where } = rule
  const refuse = '{ set $croft_rule 0; }'
  const conditions = [
    `set $croft_rule "\${croft_pass}${isForced ? '1' : '${croft_free}'}";`,
    ...(host === null ? [] : [`if ($host != ${quoted(host)}) ${refuse}`]),
    ...query.map(({ name, value }) => `if ($arg_${name} ${value === null ? '= ""' : `!= ${quoted(value)}`}) ${refuse}`),
    ...(except === null ? [] : [`if ($uri ~ ${quoted(except.regex)}) ${refuse}`]),
    ...action(rule, index, path, own.get(`${status} ${rule.target}`) ?? status),
  ]
  return [`# ${where.file}, line ${where.line}`, ...conditions].map((line) => `    ${line}\n`).join('')
}

/** A rewrite escapes what it captured; the other statuses cannot be had from one, and capture what needs no escaping. */
function action(rule: Rule, index: number, path: PathPattern, code: number): string[] {
  const { target, status, query } = rule
  const flag = ({ 200: 'last', 301: 'permanent', 302: 'redirect' } as Record<number, string>)[status]
  const filled = (capture: (position: number) => string): string =>
    (target ?? '').replaceAll(/:([A-Za-z]\w*)/g, (all, name: string) => {
      if (!namesIn(target ?? '').includes(name)) return all
      const position = path.names.indexOf(name)
      const parameter = query.find(({ as }) => as === name)
      return position >= 0 ? capture(position) : parameter === undefined ? all : `\${arg_${parameter.name}}`
    })
  const end = query.length > 0 && status !== 200 ? '?' : ''
  if (flag !== undefined) {
    const replacement = `${filled((position) => `$${position + 1}`)}${end}`
    return [`if ($croft_rule = 11) { rewrite ${quoted(path.regex)} ${quoted(replacement)} ${flag}; }`]
  }
  let position = 0
  const named = path.regex.replaceAll(
    /\((\[\^\/\]\+|\.\*)\)/g,
    (_all, inner: string) => `(?<croft_${index}_${position++}>${inner === '.*' ? '[!-~]*' : '[!-.0-~]+'})`,
  )
  const text = filled((at) => `\${croft_${index}_${at}}`)
  const answer =
    status >= 400
      ? `return ${code};`
      : `return ${code} ${quoted(`${text}${end === '' && !text.includes('?') ? '$is_args$args' : ''}`)};`
  return [`if ($uri ~ ${quoted(named)}) { set $croft_rule "\${croft_rule}1"; }`, `if ($croft_rule = 111) { ${answer} }`]
}
