import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { releaseHomeIndex } from '@croft/backend-linux'
import { requireFit, runCheck, type CheckReport } from '../doctor/check.js'
import { garden } from '../doctor/checks/garden.js'
import { paint, printLeft, printLines } from '../output.js'
import { findLocalPlatform, type LocalPlatform } from '../platform/local-platform.js'
import { checkoutFolder } from './host-part.js'
import { EXAMPLE_APP, pushExample, wasExamplePushed } from './example-push.js'
import { withHomeLock } from './home-lock.js'
import { isAlive } from './process-ref.js'
import { programHash, removeOtherPrograms } from './program-install.js'
import { setUp, type SetUpResult } from './set-up.js'
import { addressOf, type Settings } from './settings.js'
import { startSupervisor, StartFailed, untilReady } from './start.js'
import { Steps } from './steps.js'
import { isSupervised, removeApps, stopComponents } from './take-down.js'
import { stayInForeground } from './foreground.js'

/**
 * `croft up`: sets up what is missing, starts the platform, pushes the example on the first start, prints where everything is;
 * then stays in the foreground with the logs, or returns when `detach`.
 */
export async function up(settings: Settings, detach: boolean): Promise<void> {
  const steps = new Steps()
  const platform = await withHomeLock(settings.home, async () => {
    const running = await runningAsWanted(settings)
    if (running !== undefined) {
      printLines(`Croft already runs in ${settings.home}.`)
      return running
    }
    await leaveFormerContainers(settings, steps)
    return startPlatform(await setUpWhole(settings, steps), steps)
  })
  if (settings.pushExample && !wasExamplePushed(settings.home)) {
    await steps.run(`git push of examples/${EXAMPLE_APP}`, () => pushExample(platform, programFolder(platform)))
  }
  greet(platform, sinceStart())
  if (!detach) await stayInForeground(platform)
}

/** Sets up; of a home that was not there before nothing stays when that fails. */
async function setUpWhole(settings: Settings, steps: Steps): Promise<SetUpResult> {
  const isNew = !existsSync(join(settings.home, 'id'))
  try {
    return await setUp(settings, steps)
  } catch (error) {
    // `checkHome` let it pass: it was not there, or empty
    if (isNew && existsSync(join(settings.home, 'id'))) {
      await releaseHomeIndex(settings.home)
      await rm(settings.home, { recursive: true, force: true })
    }
    throw error
  }
}

/** The platform of the home when it runs from this program with these settings; otherwise `up` replaces its components. */
async function runningAsWanted(settings: Settings): Promise<LocalPlatform | undefined> {
  const platform = await findLocalPlatform(settings.home)
  if (platform === undefined || !isAlive(platform.state.supervisor) || !platform.state.ready) return undefined
  const { domain, httpPort, httpsPort, sshPort, publicUrl, listen, garden, registry } = settings
  const wanted = { domain, httpPort, httpsPort, sshPort, publicUrl, listen, garden, registry }
  if (JSON.stringify(platform.state.settings) !== JSON.stringify(wanted)) return undefined
  return platform.state.programHash === (await programHash(checkoutFolder())) ? platform : undefined
}

/** Apps do not move with their containers: what the platform has in another place than it shall have them from now on is removed. */
async function leaveFormerContainers(settings: Settings, steps: Steps): Promise<void> {
  const former = await findLocalPlatform(settings.home)
  if (former === undefined || former.state.settings.garden?.address === settings.garden?.address) return
  requireFit([await runCheck(garden, settings)]) // nothing is stopped for a place that is no good
  await steps.run('Stopping the former program', () => stopComponents(settings.home))
  printLeft(await steps.run('Stopping the apps where they ran before', () => removeApps(settings.home)))
}

async function startPlatform({ config, warnings }: SetUpResult, steps: Steps): Promise<LocalPlatform> {
  const { home } = config
  if (await isSupervised(home)) await steps.run('Stopping the former program', () => stopComponents(home))
  const hadApps = existsSync(join(home, 'example-pushed'))
  const platform = await steps.run('Starting the platform', async (say) => {
    const supervisor = startSupervisor(config)
    try {
      const ready = await untilReady(config, supervisor)
      say('Platform ready')
      return ready
    } catch (error) {
      // a platform that never was is removed; apps that serve are left alone
      await stopComponents(home)
      if (!hadApps && error instanceof StartFailed) await removeApps(home)
      throw error
    }
  })
  for (const warning of warnings) printWarning(warning)
  await removeOtherPrograms(join(home, 'program'), [config.programHash])
  return platform
}

/** Milliseconds since the person pressed return: the launcher may have worked before this program could run. */
function sinceStart(): number {
  const launcherStarted = Number(process.env['CROFT_STARTED_MS'] ?? performance.timeOrigin)
  return Date.now() - launcherStarted
}

const programFolder = (platform: LocalPlatform): string => join(platform.home, 'program', platform.state.programHash)

function printWarning({ name, detail, remedy }: CheckReport): void {
  printLines(`       ${paint('yellow', `warning (${name}):`)} ${detail}${remedy === null ? '' : `; ${remedy}`}`)
}

function greet(platform: LocalPlatform, ms: number): void {
  const { publicUrl, domain, httpPort } = platform.state.settings
  const croft = addressOf(publicUrl, 'croft')
  printLines(
    `${paint('green', '=====>')} Croft is ready in ${(ms / 1000).toFixed(1)} s  ${croft}`,
    ...(wasExamplePushed(platform.home) ? [`       the example app    ${addressOf(publicUrl, EXAMPLE_APP)}`] : []),
    `       push your own      git push ${croft}/<app>.git main`,
    `       password for git   cat ${platform.home}/operator-token   (any user name)`,
    ...(domain === 'localhost'
      ? [
          `       from elsewhere     ssh -L ${httpPort}:localhost:${httpPort} <this host>, then the same addresses there;`,
          '                          or give it a name: ./croft up --domain apps.example.org',
        ]
      : []),
  )
}
