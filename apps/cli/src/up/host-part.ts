import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CroftError, systemClock } from '@croft/kit'
import type { Steps } from './steps.js'

/** The host's part of the set-up (packages, base image) runs beside Node's, in `tools/host-setup.sh`, started by the launcher. */

const LOOK_MS = 50
const TIMEOUT_MS = 20 * 60_000

/** The checkout this program was started from: the folder of `croft`, wherever the bundle lies in it. */
export function checkoutFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (folder !== '/' && !existsSync(join(folder, 'package-lock.json'))) folder = dirname(folder)
  return folder
}

/**
 * Waits for the host's part when the launcher has started it, and shows its steps.
 * @throws CroftError with what went wrong and the remedy
 */
export async function waitForHostPart(steps: Steps, setupFolder: string | undefined): Promise<void> {
  if (setupFolder === undefined) return
  const end = systemClock.monotonic() + TIMEOUT_MS
  const resultFile = join(setupFolder, 'host.result')
  const started = performance.now()
  await steps.run('Host packages and base image', async (say) => {
    say('')
    while (!existsSync(resultFile)) {
      if (systemClock.monotonic() > end)
        throw failure('the set-up of this host takes too long', `look at ${setupFolder}/host.log`)
      await systemClock.sleep(LOOK_MS)
    }
  })
  const [result = '', remedy = ''] = (await readFile(resultFile, 'utf8')).split('\n')
  if (result !== 'ok') throw failure(result, remedy)
  for (const line of (await readFile(join(setupFolder, 'host.steps'), 'utf8')).split('\n')) {
    const [seconds, text] = line.split('\t')
    if (text !== undefined) steps.line(text, Number.parseFloat(seconds ?? '') * 1000)
  }
  if (process.env['CROFT_DEBUG'] !== undefined) steps.line('waited for the host', performance.now() - started)
}

function failure(title: string, suggestion: string): CroftError {
  return new CroftError({ code: 'host-setup-failed', status: 500, title, suggestion })
}
