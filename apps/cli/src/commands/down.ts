import type { Command } from 'commander'
import { createInterface } from 'node:readline/promises'
import { CroftError } from '@croft/kit'
import { examples } from '../examples.js'
import { printLeft, printLines } from '../output.js'
import { PlatformUnreachable } from '../client/api-error.js'
import { appNames } from '../platform/apps.js'
import { findLocalPlatform } from '../platform/local-platform.js'
import { EXAMPLE_APP } from '../up/example-push.js'
import { withHomeLock } from '../up/home-lock.js'
import { Steps } from '../up/steps.js'
import { instanceCount, hasTraces, removeApps, stopComponents } from '../up/take-down.js'
import { homeOf, homeOption, requireRoot } from './options.js'

interface DownOptions {
  home?: string
  yes?: boolean
  keepApps?: boolean
}

/** Nobody said that the apps may stop. */
class AppsWouldStop extends CroftError {
  constructor(what: string) {
    super({
      code: 'apps-would-stop',
      status: 409,
      title: `${what} would stop`,
      suggestion: '`croft down --yes` stops them too, `croft down --keep-apps` leaves them serving',
    })
  }
}

/** `croft down`: stops the platform, and its apps unless told otherwise. */
export function register(program: Command): void {
  const command = program
    .command('down')
    .description('stop the platform on this host and its apps; data stays in its home')
    .option('--yes', 'do not ask, whatever apps there are')
    .option('--keep-apps', 'leave the apps serving')
    .action(async (options: DownOptions) => {
      requireRoot('down')
      const home = homeOf(options)
      if (!(await hasTraces(home))) return printLines(`No platform runs in ${home}.`)
      if (options.keepApps !== true && options.yes !== true) await askWhetherAppsMayStop(home)
      const steps = new Steps()
      await withHomeLock(home, async () => {
        await steps.run('Stopping the platform', () => stopComponents(home))
        if (options.keepApps !== true) printLeft(await steps.run('Stopping the apps', () => removeApps(home)))
      })
      printLines(
        options.keepApps === true
          ? '=====> The apps go on serving; ./croft up takes them up again'
          : `=====> Nothing of it runs any more; its data is in ${home}`,
      )
    })
  homeOption(command)
  examples(command, 'croft down', 'croft down --yes', 'croft down --keep-apps')
}

async function askWhetherAppsMayStop(home: string): Promise<void> {
  const what = await appsAtStake(home)
  if (what === undefined) return
  if (!process.stdin.isTTY || !process.stdout.isTTY) throw new AppsWouldStop(what)
  const asked = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await asked.question(`${what} would stop. Stop them too? [y/N] `)
  asked.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new AppsWouldStop(what)
}

/** The apps besides the example, in words, or undefined when there are none. */
async function appsAtStake(home: string): Promise<string | undefined> {
  const platform = await findLocalPlatform(home)
  try {
    if (platform !== undefined) {
      const names = (await appNames(platform)).filter((name) => name !== EXAMPLE_APP)
      return names.length === 0 ? undefined : names.join(', ')
    }
  } catch (error) {
    if (!(error instanceof PlatformUnreachable)) throw error
  }
  const count = await instanceCount(home)
  const instances = `${count} ${count === 1 ? 'instance' : 'instances'}`
  return count === 0 ? undefined : `the platform does not answer, but has ${instances}, which`
}
