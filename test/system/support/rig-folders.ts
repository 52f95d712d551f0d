import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanHome, releaseHomeIndex, reserveHomeIndex } from '@croft/backend-linux'

/** Names the folder of every rig that makes containers, so that a sweep knows it; the pid of whoever made it follows. */
const PREFIX = 'croft-rig-'
const PLACE = '/tmp'

/** A new folder of a rig; with an index of its own (`reserveHomeIndex`) it is a home. */
export function makeRigFolder(kind: string): Promise<string> {
  return mkdtemp(join(PLACE, `${PREFIX}${process.pid}-${kind}-`))
}

/** Takes down what rigs left whose process is gone: what runs there, their homes, their folders. */
export async function sweepRigs(): Promise<void> {
  for (const name of readdirSync(PLACE)) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    const folder = join(PLACE, name)
    for (const left of processesOf(folder)) process.kill(left, 'SIGKILL')
    await cleanRig(folder)
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
  }
}

async function cleanRig(folder: string): Promise<void> {
  // an executor has its containers below `node`, `croft garden` is a home of its own
  for (const home of [folder, join(folder, 'depot')]) {
    if (!existsSync(join(home, 'k'))) continue
    const node = existsSync(join(home, 'node')) ? join(home, 'node') : home
    await cleanHome({
      index: await reserveHomeIndex(home),
      depotDir: join(node, 'containers'),
      runDir: join(home, 'run'),
      runcRoot: join(home, 'runc'),
    })
    await releaseHomeIndex(home)
  }
}

/** Processes that were started with a path below the folder among their arguments or variables; shims are the home's matter. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const [line, environment] = ['cmdline', 'environ'].map((file) => textOf(`/proc/${pid}/${file}`))
      return (
        !line?.includes('croft-init') &&
        [line, environment].some((text) => text?.includes(`${folder}/`) || text?.includes(`${folder}\0`))
      )
    })
    .map(Number)
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // it is gone
  }
}
