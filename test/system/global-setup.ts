import { spawn } from 'node:child_process'
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { command, HOME_PREFIX } from './support/platform.js'

/** Homes of this suite are known by their prefix; whoever finds one that nobody tests any more takes it down. */
async function sweep(): Promise<void> {
  for (const home of globSync(`${HOME_PREFIX}*`)) {
    await command('./croft', ['down', '--yes', '--home', home], { timeoutMs: 60_000 })
    rmSync(home, { recursive: true, force: true })
  }
}

/**
 * Before the system tests: takes down what an earlier run left, and starts a watchdog that does the same within 10 s should
 * this run be killed. After them: the same once more, so that nothing of ours is left.
 */
export default async function setup(): Promise<() => Promise<void>> {
  if (process.getuid?.() !== 0)
    throw new Error('the system tests need root: run ./croft test with sudo, or npm test for the rest')
  await sweep()
  const folder = '/run/croft-test'
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const mark = join(folder, `${process.pid}`)
  writeFileSync(mark, '')
  const watchdog = spawn(
    process.execPath,
    [join(import.meta.dirname, 'support/watchdog.mjs'), String(process.pid), mark, HOME_PREFIX],
    { detached: true, stdio: 'ignore' },
  )
  watchdog.unref()
  return async () => {
    await sweep()
    rmSync(mark, { force: true }) // tells the watchdog that all is done
    if (globSync(join(folder, '*')).length === 0) rmSync(folder, { recursive: true, force: true })
  }
}
