import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { errnoOf } from '@croft/kit'
import { identify } from '../depot/process-identity.js'
import type { ProcessIdentity } from '../depot/journal.js'

/**
 * Shims by the folder in their command line, for those a crash kept out of the journal: among all processes, because one that
 * was only just started has not joined its cgroup.
 */
export async function findShims(isWanted: (folder: string) => boolean): Promise<ProcessIdentity[]> {
  return await findProcesses(([, role, folder]) => role === 'shim' && folder !== undefined && isWanted(folder))
}

/** Processes by their arguments. */
export async function findProcesses(isWanted: (args: string[]) => boolean): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || !isWanted(commandLine(Number(name)) ?? [])) continue
    const identity = await identify(Number(name))
    if (identity !== null) found.push(identity)
  }
  return found
}

/** The depot folder a shim serves, from its command line; null when the process is none or gone. */
export function shimFolder(pid: number): string | null {
  const [, role, folder] = commandLine(pid) ?? []
  return role === 'shim' && folder !== undefined ? folder : null
}

/** Read at once: it comes out of the kernel's memory. */
function commandLine(pid: number): string[] | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return null
    throw error
  }
}
