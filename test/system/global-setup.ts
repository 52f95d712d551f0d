import { spawn } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { giveTurns, TURNS } from '../support/turns.js'
import { command, HOME_PREFIX } from './support/platform.js'
import { sweepRigs } from './support/rig-folders.js'

/** Takes down the homes of this run (its pid is in their names) and of runs that are no more, and rigs of dead workers. */
async function sweep(): Promise<void> {
  for (const home of globSync(`${HOME_PREFIX}*`)) {
    const run = home.slice(HOME_PREFIX.length).split('-')[0] ?? ''
    if (run !== String(process.pid) && isTestRun(run)) continue
    await command('./croft', ['down', '--yes', '--home', home], { timeoutMs: 60_000 })
    rmSync(home, { recursive: true, force: true })
  }
  await sweepRigs()
}

function isTestRun(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('vitest')
  } catch {
    return false
  }
}

/**
 * Before the system tests: takes down what an earlier run left, and starts a watchdog that does the same within 10 s should
 * this run be killed. After them: the same once more, so that nothing of ours is left.
 */
export default async function setup(): Promise<() => Promise<void>> {
  if (process.getuid?.() !== 0)
    throw new Error('the system tests need root: run ./croft test with sudo, or npm test for the rest')
  process.env['CROFT_TEST_RUN'] = String(process.pid) // the workers inherit it
  await sweep()
  const folder = '/run/croft-test'
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const mark = join(folder, `${process.pid}`)
  writeFileSync(mark, '')
  const turns = `${mark}.turns`
  const endTurns = await giveTurns(turns)
  process.env[TURNS] = turns
  const watchdog = spawn(
    process.execPath,
    [join(import.meta.dirname, 'support/watchdog.mjs'), String(process.pid), mark, `${HOME_PREFIX}${process.pid}-`],
    { detached: true, stdio: 'ignore' },
  )
  watchdog.unref()
  return async () => {
    endTurns()
    await sweep()
    // see support/backend-rig.ts and support/database.ts
    for (const made of ['shared', 'postgres'])
      rmSync(`/tmp/croft-rig-${process.pid}-${made}`, { recursive: true, force: true })
    rmSync(mark, { force: true }) // tells the watchdog that all is done
    if (globSync(join(folder, '*')).length === 0) rmSync(folder, { recursive: true, force: true })
  }
}
