import { readdir, rm, rmdir } from 'node:fs/promises'
import { errnoOf, waitFor } from '@croft/kit'
import { SERVING } from '../cgroup/cgroups.js'
import { openCgroups } from '../cgroup/open.js'
import { emptyCgroup } from '../containerizer/destroy.js'
import { findShims } from '../containerizer/find-shims.js'
import { Depot } from '../depot/journal.js'
import { endProcess, identify } from '../depot/process-identity.js'
import { removeHomeNetwork } from '../networker/home-network.js'
import { DEFAULT_CGROUP_ROOT, type LinuxBackendOptions } from '../options.js'
import { homeNames } from './naming.js'

export type CleanHomeOptions = Pick<LinuxBackendOptions, 'index' | 'depotDir' | 'runDir' | 'runcRoot' | 'cgroupRoot'>

const ROUNDS_TIMEOUT_MS = 30_000

/**
 * Removes everything on the host that bears the home's index: processes, cgroups, mounts, links, nft table, runc's state,
 * depots. Needs no journal and no running backend; the index itself stays reserved (`releaseHomeIndex`).
 */
export async function cleanHome(options: CleanHomeOptions): Promise<void> {
  const names = homeNames(options.index)
  const cgroups = await openCgroups(options.cgroupRoot ?? DEFAULT_CGROUP_ROOT, options.index)
  /* a shim may be making a container meanwhile: until nobody is left */
  await waitFor(
    async () => {
      const shims = await findShims((folder) => folder.startsWith(`${options.depotDir}/`))
      for (const pid of await cgroups.shims()) {
        const shim = await identify(pid)
        if (shim !== null) shims.push(shim)
      }
      for (const shim of shims) await endProcess(shim)
      const groups = [...(await cgroups.list()), ...(await cgroups.ownGroups()), SERVING]
      for (const name of groups) await emptyCgroup(cgroups, name)
      return shims.length === 0
    },
    { what: `the processes of home ${options.index} to end`, timeoutMs: ROUNDS_TIMEOUT_MS },
  )
  await removeHomeNetwork(names)
  await cgroups.removeContents()
  await rm(options.runcRoot, { recursive: true, force: true })
  await removeSockets(options.runDir)
  await new Depot(options.depotDir).destroy()
}

async function removeSockets(dir: string): Promise<void> {
  try {
    for (const name of await readdir(dir)) if (name.endsWith('.sock')) await rm(`${dir}/${name}`, { force: true })
    await rmdir(dir)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTEMPTY') throw error
  }
}
