import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { parseNpmrc } from './npmrc.js'
import { writeFileWhole } from './write-file-whole.js'

/** How builds reach package registries: as the host does. */
export interface BuildEnvironment {
  /** Path of an npmrc with the host's registries and proxies, no passwords. */
  npmrc: string
  /** Path of the certificates the host trusts, and so do builds and whatever asks other registries. */
  ca: string
  /** `http_proxy` and its kin. */
  proxyEnvironment: Record<string, string>
  /** Settings of npm as read; for the egress list. */
  npm: Map<string, string>
}

const GLOBAL_NPMRC = ['/etc/npmrc', '/usr/etc/npmrc', '/usr/local/etc/npmrc']
const SYSTEM_CA = '/etc/ssl/certs/ca-certificates.crt'
const PROXY_NAMES = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']
const PASSED_ON =
  /^(registry|@[^:]+:registry|strict-ssl|proxy|https-proxy|noproxy|replace-registry-host|maxsockets|fetch-.*)$/

/** npm's settings and the proxies of this host, without its project's and without calling npm (which takes a second). */
export async function readHostNpm(
  env: NodeJS.ProcessEnv,
): Promise<{ npm: Map<string, string>; proxyEnvironment: Record<string, string> }> {
  const files = [...GLOBAL_NPMRC, env['NPM_CONFIG_GLOBALCONFIG'] ?? '', join(homedir(), '.npmrc')].filter((file) =>
    existsSync(file),
  )
  const npm = new Map<string, string>()
  for (const file of files) {
    for (const [key, value] of parseNpmrc(await readFile(file, 'utf8'), env)) npm.set(key, value)
  }
  for (const [name, value] of Object.entries(env)) {
    const key = /^npm_config_(.+)$/i.exec(name)?.[1]
    if (key !== undefined && value !== undefined && value !== '') npm.set(key.toLowerCase().replaceAll('_', '-'), value)
  }
  const proxyEnvironment: Record<string, string> = {}
  for (const name of PROXY_NAMES) {
    const value = env[name]
    if (value !== undefined && value !== '') proxyEnvironment[name] = value
  }
  return { npm, proxyEnvironment }
}

/** Where a home has the certificates that the host trusted when it was started; its components read them. */
export const hostCaOf = (home: string): string => join(home, 'ca.crt')

/** The certificates this host trusts, in PEM: the system's, and those that npm and Node are told of. */
export async function hostCertificates(env: NodeJS.ProcessEnv, npm: ReadonlyMap<string, string>): Promise<string> {
  const extra = [npm.get('cafile'), env['NODE_EXTRA_CA_CERTS'], env['SSL_CERT_FILE']]
  const sources = [...new Set([SYSTEM_CA, ...extra])].filter(
    (file): file is string => file !== undefined && existsSync(file),
  )
  return (await Promise.all(sources.map((file) => readFile(file, 'utf8')))).join('\n')
}

/** Writes what the components of a home get of the host's configuration. */
export async function prepareBuildEnvironment(home: string, env: NodeJS.ProcessEnv): Promise<BuildEnvironment> {
  const { npm, proxyEnvironment } = await readHostNpm(env)
  const npmrc = join(home, 'node', 'build.npmrc')
  const passedOn = [...npm].filter(([key]) => PASSED_ON.test(key)).sort(([a], [b]) => a.localeCompare(b))
  writeFileWhole(npmrc, passedOn.map(([key, value]) => `${key}=${value}\n`).join(''), 0o644)

  const ca = hostCaOf(home)
  writeFileWhole(ca, await hostCertificates(env, npm), 0o644)
  return { npmrc, ca, proxyEnvironment, npm }
}
