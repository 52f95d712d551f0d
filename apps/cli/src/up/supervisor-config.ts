import type { EgressTarget } from './egress.js'
import type { Settings } from './settings.js'

/**
 * What a supervisor is started with: `RUN/supervisor-config.json`, written by `up`, readable for root only. It is enough to run
 * the platform again without `up`. It is read by the program that wrote it, of the same version, so no schema checks it: the
 * supervisor stays as small as it can be.
 */
export interface SupervisorConfig {
  version: string
  home: string
  homeId: string
  k: number
  run: string
  program: string
  programHash: string
  shim: string
  platformNpm: string
  operatorTokenSha256: string
  /** Address of our own Redis, with its password. */
  redisUrl: string
  logLevel: string
  timeScale: string
  /** Hosts that containers may reach although they lie in private ranges: registries, proxies, resolvers. */
  egress: EgressTarget[]
  build: { npmrc: string; ca: string; proxyEnvironment: Record<string, string> }
  /** `NAME:PASSWORD` of the registry images are published in; empty: none. */
  registryCredentials: string
  /** Variables of tests for every component, such as CROFT_FAILPOINT. */
  extraEnvironment: Record<string, string>
  settings: Settings
}
