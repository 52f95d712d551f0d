import { globSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildShim, reserveHomeIndex } from '@croft/backend-linux'
import { checks } from '../doctor/checks/index.js'
import { requireFit, runCheck, type Check, type CheckReport } from '../doctor/check.js'
import { runFolder } from '../platform/run-folder.js'
import { version } from '../version.js'
import { prepareBuildEnvironment, type BuildEnvironment } from './build-environment.js'
import { egressOf, type EgressTarget } from './egress.js'
import { resolveEgress } from './egress-addresses.js'
import { prepareHome, prepareRun } from './home.js'
import { takeOverSetupChanges } from './host-changes.js'
import { checkoutFolder, waitForHostPart } from './host-part.js'
import { ensurePlatformNpm, hasPlatformNpm } from './platform-npm.js'
import { preparePostgres } from './postgres.js'
import { postgresNative } from './program-folders.js'
import { installProgram, programHash } from './program-install.js'
import { prepareRedis } from './redis.js'
import type { Settings } from './settings.js'
import type { Steps } from './steps.js'
import type { SupervisorConfig } from './supervisor-config.js'
import { readRegistryCredentials } from './registry.js'
import { ensureUsers } from './users.js'

export interface SetUpResult {
  config: SupervisorConfig
  /** What was found beside `ok`: shown when the platform is up. */
  warnings: CheckReport[]
}

/** Variables of tests that reach every component; nothing else of the caller's environment does. */
const EXTRA_VARIABLES = ['CROFT_FAILPOINT']

/**
 * Everything a home needs before its components can start, done once and found done the next time. What does not depend on each
 * other runs side by side; the host's part (packages, base image) was begun by the launcher.
 * @throws CroftError with the remedy, before anything of the home is made when the host is unfit
 */
export async function setUp(settings: Settings, steps: Steps): Promise<SetUpResult> {
  const setupFolder = process.env['CROFT_HOST_SETUP']
  const checkout = checkoutFolder()
  const hostReports = await steps.run('Checking the host', async (say) => {
    say('')
    const found = await runPhase('host', settings)
    requireFit(found)
    return found
  })
  const users = await ensureUsers(settings.home)
  const [home, hash] = await Promise.all([prepareHome(settings.home, users), programHash(checkout)])

  const hostPart = waitForHostPart(steps, setupFolder).then(async () => {
    if (setupFolder !== undefined) await takeOverSetupChanges(settings.home, setupFolder)
    const found = await runPhase('tools', settings)
    requireFit(found)
    await mkdir(settings.cache, { recursive: true, mode: 0o755 })
    return { found, shim: await buildShim({ cacheDir: settings.cache }) }
  })
  const installed = steps.quick('Installing the program', () =>
    installProgram(checkout, join(settings.home, 'program'), hash),
  )
  const database = installed.then(async (program) => {
    if (settings.databaseUrl !== undefined) return
    const place = { native: postgresNative(program), folder: join(settings.home, 'pg'), socketFolder: '' }
    await steps.quick('Preparing PostgreSQL', () => preparePostgres(place, users['croft-db']))
  })
  const npm = hasPlatformNpm(settings.cache)
    ? ensurePlatformNpm(settings.cache)
    : steps.run("Fetching npm for the apps' builds", () => ensurePlatformNpm(settings.cache))
  const build = prepareBuildEnvironment(settings.home, process.env)
  const reachable = build.then(readEgress)
  const [{ found, shim }, program, platformNpm, files, egress] = await all([
    hostPart,
    installed,
    npm,
    build,
    reachable,
    database,
  ])

  const k = await reserveHomeIndex(settings.home)
  const run = runFolder(k)
  await prepareRun(run, users)
  const redisUrl = await prepareRedis(
    { home: settings.home, socket: join(run, 'redis/redis.sock') },
    users['croft-redis'],
  )
  const config: SupervisorConfig = {
    version,
    home: settings.home,
    homeId: home.id,
    k,
    run,
    program,
    programHash: hash,
    shim,
    platformNpm,
    operatorTokenSha256: home.operatorTokenSha256,
    redisUrl,
    logLevel: process.env['CROFT_LOG_LEVEL'] ?? 'info',
    timeScale: process.env['CROFT_TIME_SCALE'] ?? '1',
    egress,
    build: { npmrc: files.npmrc, ca: files.ca, proxyEnvironment: files.proxyEnvironment },
    registryCredentials: await readRegistryCredentials(settings.registry),
    extraEnvironment: Object.fromEntries(
      EXTRA_VARIABLES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    settings,
  }
  return { config, warnings: [...hostReports, ...found].filter(({ status }) => status === 'warning') }
}

/** The part of the set-up that belongs to the host and to no home: what `croft test` needs before the tests make homes. */
export async function setUpHost(cache: string, steps: Steps): Promise<void> {
  const setupFolder = process.env['CROFT_HOST_SETUP']
  await mkdir(cache, { recursive: true, mode: 0o755 })
  await all([
    waitForHostPart(steps, setupFolder).then(() => buildShim({ cacheDir: cache })),
    steps.run("Fetching npm for the apps' builds", (say) => {
      if (hasPlatformNpm(cache)) say('')
      return ensurePlatformNpm(cache)
    }),
  ])
}

/** What containers may reach beside public addresses, as this host is configured. */
async function readEgress({ npm, proxyEnvironment }: BuildEnvironment): Promise<EgressTarget[]> {
  const [aptSources, resolvConf] = await Promise.all([
    readAptSources(),
    readFile('/etc/resolv.conf', 'utf8').catch(() => ''),
  ])
  return resolveEgress(egressOf({ npm, proxyEnvironment, aptSources, resolvConf }))
}

/** The text of every source file apt reads on this host. */
export async function readAptSources(): Promise<string> {
  const files = globSync('/etc/apt/{sources.list,sources.list.d/*.{list,sources}}')
  return (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n')
}

function runPhase(phase: Check['phase'], settings: Settings): Promise<CheckReport[]> {
  return Promise.all(checks.filter((check) => check.phase === phase).map((check) => runCheck(check, settings)))
}

/** Promise.all that lets every branch end before it fails, so that none works on behind an error message. */
async function all<T extends readonly unknown[]>(promises: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const settled = await Promise.allSettled(promises)
  const failed = settled.find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return Promise.all(promises) as unknown as Promise<T>
}
