import type { Env } from '@croft/lifecycle'
import { HOST_REACH, parseEgress, type BuildReach, type EgressTarget } from '@croft/protocol'

/** How builds reach the world: as the host does, and where the platform's settings say otherwise, as they say. Pure. */

/** The host's own way. */
export interface HostReach {
  /** Text of the npmrc handed to builds; null: none. */
  npmrc: string | null
  /** Certificates builds trust, in PEM; null: the base image's own. */
  ca: string | null
  /** `http_proxy` and its kin. */
  proxyEnvironment: Readonly<Record<string, string>>
}

/** Where the files of the settings are seen in a build container. */
export const REACH = '/cnb/croft/reach'
export const CA = '/etc/ssl/certs/ca-certificates.crt'

/** With a registry that does not answer; npm's own would be 70 s of silence. What the host or an app says goes before. */
const NPM_PATIENCE = ['fetch-retries=3', 'fetch-retry-mintimeout=1000', 'fetch-retry-maxtimeout=8000']

/** Files below `REACH`, by name; `ca.crt` is what is seen as the certificates of the system. */
export function reachFiles(host: HostReach, reach: BuildReach = HOST_REACH): Record<string, string> {
  const { npmRegistry, rubygemsMirror, pypiIndex, packagistMirror, proxy, noProxy, ca } = reach
  const files: Record<string, string> = {}
  const ownNpmrc = [
    ...(npmRegistry === null ? [] : [`registry=${npmRegistry}`]),
    ...(proxy === null ? [] : [`proxy=${proxy}`, `https-proxy=${proxy}`]),
    ...(noProxy === null ? [] : [`noproxy=${noProxy}`]),
  ]
  files['npmrc'] = lines(...NPM_PATIENCE, host.npmrc?.trimEnd(), ...ownNpmrc)
  if (pypiIndex !== null) {
    const trusted = isPlain(pypiIndex) ? [`trusted-host = ${new URL(pypiIndex).hostname}`] : []
    files['pip.conf'] = lines('[global]', `index-url = ${pypiIndex}`, ...trusted)
  }
  if (rubygemsMirror !== null) {
    files['bundle'] = lines('---', `BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/: "${rubygemsMirror}"`)
  }
  if (packagistMirror !== null) {
    const config = {
      ...(isPlain(packagistMirror) && { config: { 'secure-http': false } }),
      repositories: [{ type: 'composer', url: packagistMirror }, { 'packagist.org': false }],
    }
    files['composer.json'] = lines(JSON.stringify(config))
  }
  if (host.ca !== null || ca !== null) files['ca.crt'] = lines(host.ca?.trimEnd(), ca?.trimEnd())
  return files
}

/** Variables of every buildpack; what an app sets itself counts before them. */
export function reachEnv(host: HostReach, reach: BuildReach = HOST_REACH): Env {
  const { pypiIndex } = reach
  const files = reachFiles(host, reach)
  const trusting = [
    'NODE_EXTRA_CA_CERTS',
    'SSL_CERT_FILE',
    'CURL_CA_BUNDLE',
    'GIT_SSL_CAINFO',
    'PIP_CERT',
    'BUNDLE_SSL_CA_CERT',
  ]
  const inFile = (variable: string, file: string): Env => (file in files ? { [variable]: `${REACH}/${file}` } : {})
  return {
    LANG: 'C.UTF-8',
    ...inFile('npm_config_globalconfig', 'npmrc'),
    ...inFile('PIP_CONFIG_FILE', 'pip.conf'),
    ...inFile('BUNDLE_USER_CONFIG', 'bundle'),
    ...inFile('CROFT_COMPOSER_CONFIG', 'composer.json'),
    ...(pypiIndex !== null && { UV_INDEX_URL: pypiIndex, UV_DEFAULT_INDEX: pypiIndex }),
    ...('ca.crt' in files && Object.fromEntries(trusting.map((name) => [name, CA]))),
    ...proxyEnv(host, reach),
  }
}

/** `http_proxy` and its kin. */
export function proxyEnv({ proxyEnvironment }: HostReach, { proxy, noProxy }: BuildReach = HOST_REACH): Env {
  return {
    ...proxyEnvironment,
    ...(proxy !== null && both({ http_proxy: proxy, https_proxy: proxy })),
    ...(noProxy !== null && both({ no_proxy: noProxy })),
  }
}

/** What builds have to be let through to, wherever it lies. */
export function reachTargets(reach: BuildReach = HOST_REACH): EgressTarget[] {
  const { npmRegistry, rubygemsMirror, pypiIndex, packagistMirror, proxy } = reach
  const targets = [npmRegistry, rubygemsMirror, pypiIndex, packagistMirror, proxy].flatMap((text) => {
    if (text === null || !URL.canParse(text)) return []
    const { hostname, port, protocol } = new URL(text)
    return [
      { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) },
    ]
  })
  targets.push(...egressOf(reach))
  return [...new Map(targets.map((target) => [`${target.host} ${target.port}`, target])).values()]
}

/** The targets of the platform's egress list that is a setting. */
export function egressOf({ egress }: BuildReach): EgressTarget[] {
  return egress.map(parseEgress).filter((target) => typeof target !== 'string')
}

function both(values: Record<string, string>): Env {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => [
      [name, value],
      [name.toUpperCase(), value],
    ]),
  )
}

function isPlain(url: string): boolean {
  return url.startsWith('http:')
}

function lines(...some: (string | undefined)[]): string {
  return some
    .filter((line) => line !== undefined && line !== '')
    .map((line) => `${line}\n`)
    .join('')
}
