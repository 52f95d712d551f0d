import { readFile } from 'node:fs/promises'
import { CommandFailed, run } from '@croft/kit'
import { recordHostChange } from './host-changes.js'
import type { ComponentUser } from './launch-vector.js'

export interface Ids {
  uid: number
  gid: number
}
/** The numeric ids of the components' users, and of root. */
export type UserIds = Record<ComponentUser | 'root', Ids>

const NAMES: readonly ComponentUser[] = ['croft', 'croft-router', 'croft-haproxy', 'croft-redis', 'croft-db']

/** The ids by name of an `/etc/passwd`. Pure. */
export function parsePasswd(text: string): Map<string, Ids> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [name, , uid, gid] = line.split(':')
      return name === undefined || gid === undefined ? [] : [[name, { uid: Number(uid), gid: Number(gid) }] as const]
    }),
  )
}

/** Makes the system users the components run as, each with a group of its own, and gives their ids. */
export async function ensureUsers(home: string): Promise<UserIds> {
  let known = parsePasswd(await readFile('/etc/passwd', 'utf8'))
  const missing = NAMES.filter((name) => !known.has(name))
  for (const name of missing) {
    try {
      await run(
        '/usr/sbin/useradd',
        [
          '--system',
          '--user-group',
          '--no-create-home',
          '--home-dir',
          '/nonexistent',
          '--shell',
          '/usr/sbin/nologin',
          name,
        ],
        { timeoutMs: 60_000 },
      )
      await recordHostChange(home, { kind: 'user-added', name })
    } catch (error) {
      const EXISTS = 9 // another `up` on this host was quicker
      if (!(error instanceof CommandFailed) || error.exitCode !== EXISTS) throw error
    }
  }
  if (missing.length > 0) known = parsePasswd(await readFile('/etc/passwd', 'utf8'))
  const ids = (name: string): Ids => {
    const found = known.get(name)
    if (found === undefined) throw new Error(`user ${name} is not in /etc/passwd after useradd`)
    return found
  }
  return {
    root: { uid: 0, gid: 0 },
    croft: ids('croft'),
    'croft-router': ids('croft-router'),
    'croft-haproxy': ids('croft-haproxy'),
    'croft-redis': ids('croft-redis'),
    'croft-db': ids('croft-db'),
  }
}
