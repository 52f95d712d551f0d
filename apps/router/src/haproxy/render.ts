import { createHash } from 'node:crypto'
import { haproxyFolder, haproxyLaunch, routerFolder } from '@croft/protocol'
import { holdLua, HOLD_LIMITS_MS } from './hold-lua.js'
import { PAGES, RAW_PAGES, type Page, type PageName } from './pages.js'
import { BLANK_ADDRESS, MAP_NAMES, slotsByBackend, type HaproxyState, type MapName, type Slot } from './state.js'

/** What of the router's configuration the rendered text depends on. */
export interface RenderConfig {
  run: string
  domain: string
  listen: readonly string[]
  httpPort: number
  publicUrl: URL
  timeScale: number
}

/** The backend of the platform itself. */
export const PLATFORM = 'platform'

/** Whole head of a request, from its first byte. */
const HEAD_TIMEOUT = '10s'
/** A client connection without a request. */
const KEEP_ALIVE_TIMEOUT = '60s'
/** A client that sends or takes nothing in the middle of a request. */
const CLIENT_TIMEOUT = '60s'
/** An app that sends nothing: until its first byte, and between two. */
const SERVER_TIMEOUT = '60s'
/** An upgraded connection on which nothing passes. */
const TUNNEL_TIMEOUT = '1h'
/** The platform: git receives, builds and log tails are long. */
const PLATFORM_TIMEOUT = '1h'
const CONNECT_TIMEOUT = '2s'
const QUEUE_TIMEOUT = '30s'
/** Tries after the first; each goes to another instance, and the last to the hold. */
const RETRIES = 3
/** A worker that was replaced by a reload ends its last requests and tunnels within this time. */
const HARD_STOP_AFTER = '10m'
/** Instances that are up are looked at seldom (requests tell sooner), those that are down often. */
const CHECKS = 'check inter 5s fastinter 500ms downinter 100ms rise 1 fall 2'
/** Its socket costs nothing to look at, and a refusal on a unix socket is not observed. */
const PLATFORM_CHECKS = 'check inter 500ms fastinter 200ms downinter 100ms rise 1 fall 1'
/** One refused or unanswered connection takes an instance out, until a check succeeds. Its answers never do: a buggy app is up. */
const OBSERVE = 'observe layer4 error-limit 1 on-error mark-down'
/**
 * For large bodies, which pass through pipes without being copied. The buffers stay at HAProxy's 16 KiB: each request that may be
 * tried again is copied with its whole buffer, and at 32 KiB that alone was a seventh of a small request's cost.
 */
const PIPE_BYTES = 524_288

/** Held for one app at most: an app that is down must not take the connections of all others with it. */
const HELD_REQUESTS = 256

const METHODS =
  'GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH QUERY'
const IDEMPOTENT = 'GET HEAD OPTIONS PUT DELETE'
/** Lower-case or not, at most one trailing dot, optional port. */
const HOST_PATTERN = String.raw`^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`
const CONTROL_CHARACTERS = String.raw`[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]`
/**
 * Headers a client may not set: ours, those that apps take for a proxy's word, and hop-by-hop ones.
 */
const FORBIDDEN_HEADERS =
  'x-forwarded-|x-croft-|x-real-ip$|x-client-cert|x-ssl-client|x-request-start$|forwarded$|proxy$|proxy-connection$|keep-alive$|http2-settings$|te$'
const REQUEST_ID_PATTERN = '^[A-Za-z0-9._~-]{20,200}$'

/** Files of the run directory's `router` folder by name; the configuration, whose coming starts HAProxy, is last. */
export type Files = Map<string, string>

export interface Rendered {
  files: Files
  /** Of everything that only a reload changes; HAProxy tells it back as its description. */
  hash: string
}

/** The platform's own entries of the route map. */
export function platformRoutes(domain: string): Map<string, string> {
  return new Map([
    [`croft.${domain}/`, PLATFORM],
    [`${domain}/v2/`, PLATFORM],
    [`registry.${domain}/v2/`, PLATFORM],
  ])
}

/** Hosts that no route may claim. */
export function platformHosts(domain: string): Set<string> {
  return new Set([domain, `croft.${domain}`, `registry.${domain}`])
}

/** Where a map lies; also its name in runtime commands. */
export function mapFile(run: string, map: MapName): string {
  return `${routerFolder(run)}/${map}.map`
}

/** HAProxy's whole configuration for a state. Started from these files alone, it serves that state. */
export function render(config: RenderConfig, state: HaproxyState): Rendered {
  const script = holdLua(
    { routes: mapFile(config.run, 'routes'), idle: mapFile(config.run, 'idle') },
    {
      crashed: Math.round(HOLD_LIMITS_MS.crashed / config.timeScale),
      starting: Math.round(HOLD_LIMITS_MS.starting / config.timeScale),
      platform: Math.round(HOLD_LIMITS_MS.platform / config.timeScale),
    },
  )
  const fixed = [defaults(config), frontend(config), hold(config), platform(config), appDefaults(config)].join('\n')
  const blank = [...slotsByBackend(state.slots)].map(([name, slots]) => backend(config, name, slots.length, []))
  const hash = createHash('sha256')
    .update([global(config, ''), script, fixed, ...RAW_PAGES.map(rawPage), ...blank].join('\n'))
    .digest('hex')
    .slice(0, 16)
  const backends = [...slotsByBackend(state.slots)].map(([name, slots]) => backend(config, name, slots.length, slots))
  const files: Files = new Map([['hold.lua', script]])
  for (const page of RAW_PAGES) files.set(`${page.status}.http`, rawPage(page))
  for (const map of MAP_NAMES) files.set(`${map}.map`, mapText(state.maps[map]))
  files.set('haproxy.cfg', [global(config, hash), fixed, ...backends].join('\n'))
  return { files, hash }
}

function mapText(map: ReadonlyMap<string, string>): string {
  return [...map].map(([key, value]) => `${key} ${value}\n`).join('')
}

function section(head: string, lines: readonly string[]): string {
  return [head, ...lines.map((line) => `    ${line}`), ''].join('\n')
}

function global(config: RenderConfig, hash: string): string {
  return section('global', [
    `description croft-${hash}`,
    `stats socket ${haproxyLaunch(config.run).statsSocket} mode 666 level admin expose-fd listeners`,
    'stats timeout 30s',
    `hard-stop-after ${HARD_STOP_AFTER}`,
    `tune.pipesize ${PIPE_BYTES}`,
    'spread-checks 5',
    `lua-load ${routerFolder(config.run)}/hold.lua`,
  ])
}

function defaults(config: RenderConfig): string {
  return section('defaults base', [
    'mode http',
    'no log',
    `timeout http-request ${HEAD_TIMEOUT}`,
    `timeout http-keep-alive ${KEEP_ALIVE_TIMEOUT}`,
    `timeout client ${CLIENT_TIMEOUT}`,
    `timeout server ${SERVER_TIMEOUT}`,
    `timeout tunnel ${TUNNEL_TIMEOUT}`,
    `timeout connect ${CONNECT_TIMEOUT}`,
    `timeout check ${CONNECT_TIMEOUT}`,
    `timeout queue ${QUEUE_TIMEOUT}`,
    'option abortonclose',
    'option splice-response',
    ...RAW_PAGES.map(({ status }) => `errorfile ${status} ${routerFolder(config.run)}/${status}.http`),
  ])
}

/** Finds the backend: `txn.host` as the client means it, `txn.key` for the route map. */
function lookup(config: RenderConfig): string[] {
  return [
    'http-request set-var(txn.host) req.hdr(host),lower,field(1,:),rtrim(.)',
    'http-request set-var(txn.path) path',
    'http-request set-var(txn.key) var(txn.host),concat(,txn.path,/)',
    `http-request set-var(txn.backend) var(txn.key),map_beg(${mapFile(config.run, 'routes')})`,
  ]
}

function frontend(config: RenderConfig): string {
  const { publicUrl } = config
  const isSecure = publicUrl.protocol === 'https:'
  const port = publicUrl.port === '' ? (isSecure ? '443' : '80') : publicUrl.port
  return section('frontend http from base', [
    ...config.listen.map((address) => `bind ${bindAddress(address, config.httpPort)} proto h1`),
    'unique-id-format fresh',
    // Idle clients of a worker that a reload replaced are told with their next answer, not by a reset of that request.
    'option idle-close-on-response',
    // Names that CGI-like servers fold onto others: with dots, underscores and the like.
    'option http-restrict-req-hdr-names delete',
    `acl is_known_method method ${METHODS}`,
    `acl has_one_host req.fhdr_cnt(host) 1`,
    `acl is_host req.fhdr(host) -i -m reg '${HOST_PATTERN}'`,
    'acl is_origin_form url_beg /',
    'acl is_absolute_form url_beg -i http:// https://',
    'acl has_encoding req.fhdr_cnt(transfer-encoding) gt 0',
    'acl is_chunked req.fhdr_cnt(transfer-encoding) 1',
    'acl is_chunked_only req.fhdr(transfer-encoding) -i -m str chunked',
    'acl has_expect req.fhdr_cnt(expect) gt 0',
    'acl expects_continue req.fhdr(expect) -i -m str 100-continue',
    `acl has_control_character req.hdrs -m reg '${CONTROL_CHARACTERS}'`,
    'acl has_upgrade req.fhdr_cnt(upgrade) gt 0',
    'acl has_one_upgrade req.fhdr_cnt(upgrade) 1',
    'acl is_websocket req.fhdr(upgrade) -i -m str websocket',
    'acl has_one_id req.fhdr_cnt(x-request-id) 1',
    `acl is_id req.fhdr(x-request-id) -m reg ${REQUEST_ID_PATTERN}`,
    `http-request ${answer(config, 'method')} unless is_known_method`,
    `http-request ${answer(config, 'malformed')} if !has_one_host or !is_host or !is_origin_form !is_absolute_form`,
    `http-request ${answer(config, 'malformed')} if has_encoding !is_chunked or has_encoding !is_chunked_only or has_encoding HTTP_1.0`,
    `http-request ${answer(config, 'malformed')} if has_expect !expects_continue or has_control_character`,
    'http-request set-uri %[pathq] if !is_origin_form',
    ...lookup(config),
    `http-request ${answer(config, 'unknown')} unless { var(txn.backend) -m found }`,
    `http-request del-header '^(${FORBIDDEN_HEADERS}|connection$|upgrade$)' -m reg unless has_upgrade`,
    `http-request del-header '^(${FORBIDDEN_HEADERS})' -m reg if has_upgrade`,
    'http-request del-header upgrade if has_upgrade !has_one_upgrade or has_upgrade !is_websocket',
    'http-request del-header upgrade if has_upgrade !METH_GET or has_upgrade !HTTP_1.1',
    'http-request set-header connection upgrade if has_upgrade',
    'http-request del-header connection if !has_upgrade',
    'http-request set-header x-request-id %[uuid] unless has_one_id is_id',
    'http-request set-header x-request-start %[date(0,ms)]',
    'http-request set-header x-forwarded-for %[src]',
    `http-request set-header x-forwarded-proto ${isSecure ? 'https' : 'http'}`,
    `http-request set-header x-forwarded-port ${port}`,
    'http-request set-header x-forwarded-host %[req.hdr(host)]',
    'use_backend %[var(txn.backend)]',
  ])
}

/** Requests for apps without an instance that takes them come here, from any backend, and leave for the instance that came. */
function hold(config: RenderConfig): string {
  const pages = (['scaled-to-zero', 'crashed', 'starting', 'refused', 'timeout', 'platform'] as const).map(
    (page) => `http-request ${answer(config, page)} if { var(txn.outcome) -m str ${page} }`,
  )
  return [
    section('frontend hold from base', [
      `bind unix@${holdSocket(config.run)} mode 600 accept-proxy proto h1`,
      'unique-id-format held.%[var(txn.began)].%[var(txn.round)]',
      'http-request set-var(txn.carried) fc_pp_unique_id',
      ...lookup(config),
      'http-request lua.hold',
      `http-request ${answer(config, 'unknown')} if { var(txn.outcome) -m str unknown }`,
      ...pages,
      'use_backend handover if { var(txn.outcome) -m str handover }',
      'use_backend %[var(txn.backend)]',
    ]),
    section('backend handover from base', [holdServer(config)]),
  ].join('\n')
}

function platform(config: RenderConfig): string {
  return section(`backend ${PLATFORM} from base`, [
    `timeout server ${PLATFORM_TIMEOUT}`,
    `timeout tunnel ${PLATFORM_TIMEOUT}`,
    `retries ${RETRIES}`,
    'option redispatch 1',
    'option http-server-close',
    // What a push says is read while it runs; HAProxy would keep a short piece for up to 200 ms, in case more comes.
    'option http-no-delay',
    ...[502, 503, 504].map((status) => httpError(config, { ...PAGES.platform, status })),
    `${holdServer(config)} backup`,
    `server api unix@${config.run}/api/api.sock ${PLATFORM_CHECKS} ${OBSERVE}`,
  ])
}

function appDefaults(config: RenderConfig): string {
  return section('defaults app from base', [
    'balance leastconn',
    `retries ${RETRIES}`,
    'option redispatch 1',
    'retry-on conn-failure empty-response',
    `http-request disable-l7-retry unless { method ${IDEMPOTENT} } or { req.hdr(idempotency-key) -m found }`,
    'http-response del-header x-croft-error unless { srv_name hold }',
    httpError(config, PAGES.closed),
    httpError(config, PAGES.crowded),
    httpError(config, PAGES.slow),
  ])
}

/** One app's backend. The hold comes first, so that the checks of the instances do not apply to it. */
function backend(config: RenderConfig, name: string, count: number, slots: readonly Slot[]): string {
  const isBlank = !slots.some((slot) => slot.isReady)
  return section(`backend ${name} from app`, [
    `${holdServer(config)} backup`,
    `default-server ${CHECKS} ${OBSERVE}`,
    ...(isBlank
      ? [`server-template s 1-${count} ${BLANK_ADDRESS} disabled`]
      : slots.map((slot) =>
          slot.isReady
            ? `server ${slot.name} ${slot.address} weight ${slot.weight}`
            : `server ${slot.name} ${BLANK_ADDRESS} disabled`,
        )),
  ])
}

function holdServer(config: RenderConfig): string {
  return `server hold unix@${holdSocket(config.run)} send-proxy-v2 proxy-v2-options unique-id pool-max-conn 0 maxconn ${HELD_REQUESTS} maxqueue 1`
}

function holdSocket(run: string): string {
  return `${haproxyFolder(run)}/hold.sock`
}

function bindAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port} v6only` : `${address}:${port}`
}

function answer(config: RenderConfig, name: PageName): string {
  const page: Page = PAGES[name]
  return `return status ${page.status} ${body(config, page)}${page.status < 500 && name !== 'unknown' ? ' hdr connection close' : ''}`
}

function httpError(config: RenderConfig, page: Page): string {
  return `http-error status ${page.status} ${body(config, page)}`
}

function body(config: RenderConfig, page: Page): string {
  const text = page.lines
    .map((line) => `${line}\\n`)
    .join('')
    .replaceAll('@names@', mapFile(config.run, 'names'))
    .replaceAll('@platform@', platformOrigin(config))
  return [
    `content-type "text/plain; charset=utf-8" lf-string "${text}"`,
    `hdr x-croft-error ${page.code}`,
    'hdr cache-control no-store',
    ...(page.retryAfter === undefined ? [] : [`hdr retry-after ${page.retryAfter}`]),
  ].join(' ')
}

/** A whole response, for errors found before there is a request to speak of. */
function rawPage(page: Page): string {
  const text = page.lines.map((line) => `${line}\n`).join('')
  const head = [
    `HTTP/1.1 ${page.status} ${page.status === 408 ? 'Request Timeout' : 'Bad Request'}`,
    `x-croft-error: ${page.code}`,
    'cache-control: no-store',
    'connection: close',
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(text)}`,
  ]
  return `${head.join('\r\n')}\r\n\r\n${text}`
}

function platformOrigin(config: RenderConfig): string {
  return `${config.publicUrl.protocol}//croft.${config.publicUrl.host}`
}
