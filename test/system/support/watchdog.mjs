// Watches a test run; when its process is gone while its mark still stands, takes down every platform and every rig the run left behind.
//   node watchdog.mjs PID MARK HOME_PREFIX
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, rmSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { sweepRigs } from './rig-folders.ts'

const [pid, mark, prefix] = process.argv.slice(2)
const isAlive = () => existsSync(`/proc/${pid}`)
while (existsSync(mark) && isAlive()) await delay(500)
if (existsSync(mark)) {
  const croft = resolve(import.meta.dirname, '../../../croft')
  for (const home of globSync(`${prefix}*`)) {
    spawnSync(croft, ['down', '--yes', '--home', home], { stdio: 'ignore', timeout: 60_000 })
    rmSync(home, { recursive: true, force: true })
  }
  // its workers end by themselves when they notice
  for (let looks = 0; looks < 10; looks += 1) {
    await sweepRigs()
    await delay(500)
  }
  for (const file of [mark, `${mark}.turns`]) rmSync(file, { force: true })
  if (globSync(`${dirname(mark)}/*`).length === 0) rmSync(dirname(mark), { recursive: true, force: true })
}
