import { isIPv4 } from 'node:net'
import { isAbsolute, normalize } from 'node:path'
import { OciError, parseRegistryUrl } from '@croft/oci'
import { z } from 'zod'
import { DEFAULT_NETWORK } from '../garden/options.js'
import { DEFAULT_HOME } from '../platform/local-platform.js'
import { UsageError } from '../usage.js'

/** What a platform is started with; each value from an option of `up`, else from its variable, else the default. */
export interface Settings {
  home: string
  cache: string
  domain: string
  httpPort: number
  httpsPort: number
  sshPort: number
  publicUrl: string
  /** Addresses the router binds. */
  listen: string[]
  /** Instead of the embedded PostgreSQL. */
  databaseUrl: string | undefined
  /** Instead of the embedded Redis. */
  redisUrl: string | undefined
  /** The container API of another process, in place of containers of its own. */
  garden: GardenSetting | null
  /** The registry images are published in, in place of the platform's own storage. */
  registry: RegistrySetting | null
  pushExample: boolean
}

export interface GardenSetting {
  /** `unix:/path`, `tcp:host:port`. */
  address: string
  /** What lies in it is sent as bearer token. */
  tokenFile: string | null
  /** The platform's containers get addresses of this range, of which the API must give them. */
  network: string
}

export interface RegistrySetting {
  url: string
  /** `NAME:PASSWORD` lies in it. */
  credentialsFile: string | null
  /** Whether it may be spoken to without encryption although it is not on this host. */
  mayBePlain: boolean
}

/** The options of `up` as commander gives them. */
export interface UpOptions {
  home?: string
  domain?: string
  httpPort?: string
  httpsPort?: string
  sshPort?: string
  publicUrl?: string
  listen?: string
  databaseUrl?: string
  redisUrl?: string
  garden?: string
  gardenTokenFile?: string
  gardenNetwork?: string
  registryUrl?: string
  registryCredentialsFile?: string
  registryPlainHttp?: boolean
  example?: boolean
  detach?: boolean
}

export const DEFAULT_CACHE = '/var/cache/croft'
const GARDEN_ADDRESS = /^unix:\/[^\0]+$|^tcp:(\[[0-9A-Fa-f:.]+\]|[^:[\]/\s]+):\d{1,5}$/
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

const port = (name: string) =>
  z.coerce
    .number({ error: `${name} must be a port number` })
    .int()
    .min(1, `${name} must be 1–65535`)
    .max(65_535, `${name} must be 1–65535`)

/**
 * The settings of a platform. Pure: `env` is the environment, `hasIpv6` whether the host has a loopback address `::1`.
 * @throws UsageError naming the option
 */
export function readSettings(options: UpOptions, env: NodeJS.ProcessEnv, hasIpv6: boolean): Settings {
  const value = (option: string | undefined, variable: string, fallback: string): string =>
    option ?? (env[variable] === undefined || env[variable] === '' ? fallback : env[variable])
  const number = (option: string | undefined, variable: string, name: string, fallback: string): number => {
    const parsed = port(name).safeParse(value(option, variable, fallback))
    if (parsed.success) return parsed.data
    throw new UsageError(parsed.error.issues[0]?.message ?? `${name} is wrong`)
  }
  const domain = parseDomain(value(options.domain, 'CROFT_DOMAIN', 'localhost'))
  const httpPort = number(options.httpPort, 'CROFT_HTTP_PORT', '--http-port', '8080')
  const httpsPort = number(options.httpsPort, 'CROFT_HTTPS_PORT', '--https-port', '8443')
  const sshPort = number(options.sshPort, 'CROFT_SSH_PORT', '--ssh-port', '2222')
  if (new Set([httpPort, httpsPort, sshPort]).size < 3) {
    throw new UsageError('--http-port, --https-port and --ssh-port must differ')
  }
  const everywhere = hasIpv6 ? '0.0.0.0,::' : '0.0.0.0'
  const loopback = hasIpv6 ? '127.0.0.1,::1' : '127.0.0.1'
  return {
    home: parseHome(value(options.home, 'CROFT_HOME', DEFAULT_HOME)),
    cache: parseFolder('CROFT_CACHE', value(undefined, 'CROFT_CACHE', DEFAULT_CACHE)),
    domain,
    httpPort,
    httpsPort,
    sshPort,
    publicUrl: parsePublicUrl(
      value(options.publicUrl, 'CROFT_PUBLIC_URL', `http://${domain}${httpPort === 80 ? '' : `:${httpPort}`}`),
    ),
    listen: value(options.listen, 'CROFT_LISTEN', domain === 'localhost' ? loopback : everywhere).split(','),
    databaseUrl: optional(value(options.databaseUrl, 'CROFT_DATABASE_URL', '')),
    redisUrl: optional(value(options.redisUrl, 'CROFT_REDIS_URL', '')),
    garden: parseGarden(
      value(options.garden, 'CROFT_GARDEN', ''),
      optional(value(options.gardenTokenFile, 'CROFT_GARDEN_TOKEN_FILE', '')),
      optional(value(options.gardenNetwork, 'CROFT_GARDEN_NETWORK', '')),
    ),
    registry: parseRegistry(
      value(options.registryUrl, 'CROFT_REGISTRY_URL', ''),
      optional(value(options.registryCredentialsFile, 'CROFT_REGISTRY_CREDENTIALS_FILE', '')),
      options.registryPlainHttp ?? (env['CROFT_REGISTRY_PLAIN_HTTP'] ?? '') === '1',
    ),
    pushExample: options.example ?? true,
  }
}

/** An absolute home without `..` or a closing slash. */
export function parseHome(path: string): string {
  return parseFolder('--home', path)
}

export function parseFolder(name: string, path: string): string {
  const clean = normalize(path).replace(/(?<=.)\/+$/, '')
  if (!isAbsolute(clean) || clean === '/' || /[\s:]/.test(clean)) {
    throw new UsageError(`${name} must be an absolute path without spaces and colons: ${path}`)
  }
  return clean
}

function parseDomain(text: string): string {
  const domain = text.toLowerCase()
  if (/^[\d.]+$|:/.test(domain)) {
    throw new UsageError(
      `--domain must be a name, not an address: ${text}`,
      'every app gets a name below it; give a domain whose wildcard record points here',
    )
  }
  if (domain.length > 190 || !domain.split('.').every((label) => LABEL.test(label))) {
    throw new UsageError(`--domain is no domain name: ${text}`, 'for example --domain apps.example.org')
  }
  return domain
}

function parsePublicUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '') {
    throw new UsageError(`--public-url must be scheme, host and port: ${text}`, 'for example https://apps.example.org')
  }
  return url.origin
}

function parseGarden(
  address: string,
  tokenFile: string | undefined,
  network: string | undefined,
): GardenSetting | null {
  if (address === '') {
    if (tokenFile === undefined && network === undefined) return null
    const option = tokenFile === undefined ? '--garden-network' : '--garden-token-file'
    throw new UsageError(`${option} needs --garden`, 'for example --garden unix:/run/garden.sock')
  }
  if (!GARDEN_ADDRESS.test(address)) {
    throw new UsageError(
      `--garden is no address: ${address}`,
      'for example unix:/run/garden.sock or tcp:127.0.0.1:7777',
    )
  }
  if (network !== undefined && !isRange(network)) {
    throw new UsageError(`--garden-network is no IPv4 range: ${network}`, `for example ${DEFAULT_NETWORK}`)
  }
  return {
    address,
    tokenFile: tokenFile === undefined ? null : parseFolder('--garden-token-file', tokenFile),
    network: network ?? DEFAULT_NETWORK,
  }
}

function parseRegistry(url: string, credentialsFile: string | undefined, mayBePlain: boolean): RegistrySetting | null {
  if (url === '') {
    if (credentialsFile === undefined) return null
    throw new UsageError(
      '--registry-credentials-file needs --registry-url',
      'for example --registry-url https://registry.example/croft',
    )
  }
  try {
    parseRegistryUrl(url, mayBePlain)
  } catch (error) {
    if (!(error instanceof OciError)) throw error
    const isPlain = url.startsWith('http:') && !mayBePlain
    throw new UsageError(
      `--registry-url: ${error.message}`,
      isPlain
        ? 'use https://, or --registry-plain-http where the network between is yours alone'
        : 'for example --registry-url https://registry.example/croft, its credentials in a file: --registry-credentials-file FILE',
    )
  }
  return {
    url,
    credentialsFile: credentialsFile === undefined ? null : parseFolder('--registry-credentials-file', credentialsFile),
    mayBePlain,
  }
}

/** From 8 addresses up to a /8. */
function isRange(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/')
  return isIPv4(address) && /^\d+$/.test(prefix) && Number(prefix) >= 8 && Number(prefix) <= 29
}

const optional = (text: string): string | undefined => (text === '' ? undefined : text)

/** The address of a host below the platform's domain, as it is printed: `at('shop')`, `at('croft')`. Pure. */
export function addressOf(publicUrl: string, name: string): string {
  const url = new URL(publicUrl)
  return `${url.protocol}//${name}.${url.host}`
}
