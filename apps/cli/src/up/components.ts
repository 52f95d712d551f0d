import { join } from 'node:path'
import { bareEnv } from '@croft/kit'
import { haproxyLaunch } from '@croft/protocol'
import type { Component } from './component.js'
import { platformNode, postgresNative } from './program-folders.js'
import { postgresComponent, postgresUrl } from './postgres.js'
import { accepts, redisComponent } from './redis.js'
import type { SupervisorConfig } from './supervisor-config.js'

/** A small young generation: 20 MB less in each process, and no slower at what they do. Source maps would cost 10 MB and 0.2 s more. */
const NODE_FLAGS = ['--max-semi-space-size=2']

/**
 * For those that start programs all the time: what they allocate comes in huge pages where the host has them on request. To start a
 * program the kernel copies the map of all memory, and meanwhile nothing else is done: 10 ms for 100 MB in small pages, 3 in huge ones.
 */
const STARTS_PROGRAMS = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' }

/** Every component of a home, from its configuration. */
export function componentsOf(config: SupervisorConfig): Component[] {
  const { settings, run, program, home } = config
  const node = join(platformNode(program), 'bin/node')
  const entry = (app: string): string[] => [...NODE_FLAGS, join(program, 'apps', app, 'dist', `${app}.mjs`)]
  const postgres = { native: postgresNative(program), folder: join(home, 'pg'), socketFolder: join(run, 'pg') }
  const embedded: Component[] = [
    ...(settings.databaseUrl === undefined ? [postgresComponent(postgres)] : []),
    ...(settings.redisUrl === undefined ? [redisComponent({ home, socket: join(run, 'redis/redis.sock') })] : []),
  ]
  const common = bareEnv({
    CROFT_HOME: home,
    CROFT_HOME_ID: config.homeId,
    CROFT_K: String(config.k),
    CROFT_RUN: run,
    CROFT_CACHE: settings.cache,
    CROFT_DOMAIN: settings.domain,
    CROFT_HTTP_PORT: String(settings.httpPort),
    CROFT_PUBLIC_URL: settings.publicUrl,
    CROFT_PROGRAM: program,
    CROFT_PROGRAM_HASH: config.programHash,
    CROFT_VERSION: config.version,
    CROFT_LOG_LEVEL: config.logLevel,
    CROFT_TIME_SCALE: config.timeScale,
    NODE_ENV: 'production',
    ...config.extraEnvironment,
  })
  const registry = settings.registry !== null && {
    CROFT_REGISTRY_URL: settings.registry.url,
    CROFT_REGISTRY_CREDENTIALS: config.registryCredentials,
  }
  const controller: Component = {
    name: 'controller',
    user: 'croft',
    command: node,
    args: entry('controller'),
    env: {
      ...common,
      ...STARTS_PROGRAMS,
      HOME: join(home, 'controller'),
      CROFT_DATABASE_URL: settings.databaseUrl ?? postgresUrl(postgres),
      CROFT_REDIS_URL: settings.redisUrl ?? config.redisUrl,
      CROFT_OPERATOR_TOKEN_SHA256: config.operatorTokenSha256,
      CROFT_HOST_CA: config.build.ca,
      CROFT_HOST_PROXY_ENV: JSON.stringify(config.build.proxyEnvironment),
      ...registry,
    },
    after: embedded.map(({ name }) => name),
    isReady: () => allAccept(join(run, 'api/api.sock'), join(run, 'control/control.sock'), join(run, 'node/node.sock')),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 15_000,
    staysWhenStopped: false,
  }
  const executor: Component = {
    name: 'executor',
    command: node,
    args: entry('executor'),
    env: {
      ...common,
      ...STARTS_PROGRAMS,
      HOME: '/root',
      CROFT_TOOLS: join(program, 'tools'),
      CROFT_SHIM: config.shim,
      CROFT_BUILDPACKS: join(program, 'buildpacks'),
      CROFT_PLATFORM_NODE: platformNode(program),
      CROFT_PLATFORM_NPM: config.platformNpm,
      CROFT_EGRESS: JSON.stringify(config.egress),
      CROFT_BUILD_NPMRC: config.build.npmrc,
      CROFT_BUILD_CA: config.build.ca,
      CROFT_BUILD_PROXY_ENV: JSON.stringify(config.build.proxyEnvironment),
      ...registry,
      ...(settings.garden !== null && {
        CROFT_GARDEN: settings.garden.address,
        CROFT_GARDEN_TOKEN_FILE: settings.garden.tokenFile ?? '',
        CROFT_GARDEN_NETWORK: settings.garden.network,
      }),
    },
    after: [],
    isReady: () => Promise.resolve(true), // what it reports is the controller's to judge: `askHealth`
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 15_000,
    staysWhenStopped: false,
  }
  const router: Component = {
    name: 'router',
    user: 'croft-router',
    command: node,
    args: entry('router'),
    env: {
      ...common,
      HOME: join(home, 'router'),
      CROFT_HTTPS_PORT: String(settings.httpsPort),
      CROFT_LISTEN: settings.listen.join(','),
    },
    after: [],
    isReady: () => Promise.resolve(true),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    staysWhenStopped: false,
  }
  const launch = haproxyLaunch(run)
  const haproxy: Component = {
    name: 'haproxy',
    user: 'croft-haproxy',
    command: launch.command,
    args: launch.args,
    env: bareEnv(),
    capabilities: settings.httpPort < 1024 || settings.httpsPort < 1024 ? ['net_bind_service'] : [],
    after: [],
    needs: launch.needs,
    groups: async () => (await import('@croft/backend-linux/serving')).servingGroups(config.k),
    isReady: () => accepts(launch.masterSocket),
    lifeline: launch.masterSocket,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 5_000,
    staysWhenStopped: true,
  }
  return [...embedded, controller, executor, router, haproxy]
}

async function allAccept(...sockets: string[]): Promise<boolean> {
  return (await Promise.all(sockets.map(accepts))).every(Boolean)
}
