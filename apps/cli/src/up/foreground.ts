import { printLeft, printLines } from '../output.js'
import { PlatformUnreachable } from '../client/api-error.js'
import { appNames, instanceIds } from '../platform/apps.js'
import type { LocalPlatform } from '../platform/local-platform.js'
import { EXAMPLE_APP } from './example-push.js'
import { withHomeLock } from './home-lock.js'
import { isAlive } from './process-ref.js'
import { Steps } from './steps.js'
import { tailLogs } from './tail.js'
import { removeApps, removeInstances, stopComponents } from './take-down.js'

const LOOK_MS = 500

/** Shows the logs until Ctrl-C or until the supervisor is gone; Ctrl-C then stops the platform, but no app besides the example. */
export async function stayInForeground(platform: LocalPlatform): Promise<void> {
  const over = new AbortController()
  printLines('', 'Ctrl-C stops the platform.', '')
  tailLogs(platform.home, (line) => printLines(line), over.signal)
  const why = await new Promise<'asked' | 'gone'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve('asked'))
    const timer = setInterval(() => {
      if (isAlive(platform.state.supervisor)) return
      clearInterval(timer)
      resolve('gone')
    }, LOOK_MS)
    over.signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  })
  over.abort()
  if (why === 'gone') return printLines('', 'The platform was stopped elsewhere.')
  printLines('')
  const { kept, example } = await appsAtHand(platform)
  const steps = new Steps()
  await withHomeLock(platform.home, async () => {
    await steps.run('Stopping the platform', () => stopComponents(platform.home))
    if (kept.length === 0) printLeft(await steps.run('Stopping the apps', () => removeApps(platform.home)))
    else await steps.run('Stopping the example', () => removeInstances(platform.home, example))
  })
  if (kept.length > 0) {
    printLines(
      `=====> ${kept.join(', ')} ${kept.length === 1 ? 'goes' : 'go'} on serving; ./croft up takes over again, ./croft down stops everything`,
    )
  }
}

/** The apps that stay, and the instances of the example, which does not. A platform that cannot say which apps it has may have some. */
async function appsAtHand(platform: LocalPlatform): Promise<{ kept: string[]; example: string[] }> {
  try {
    const names = await appNames(platform)
    return { kept: names.filter((name) => name !== EXAMPLE_APP), example: await instanceIds(platform, EXAMPLE_APP) }
  } catch (error) {
    if (error instanceof PlatformUnreachable) return { kept: ['what was deployed'], example: [] }
    throw error
  }
}
