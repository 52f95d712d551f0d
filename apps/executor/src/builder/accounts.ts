import type { Owner } from '@croft/oci'

/** What images say of their users, in their configuration and in `/etc/passwd` and `/etc/group`. Pure. */

export interface Accounts {
  passwd: string
  group: string
}

/** The ids behind `User` of an image's configuration (`name`, `uid`, `name:group`, ...); null when its files do not know them. */
export function ownerOf(user: string, { passwd, group }: Accounts): Owner | null {
  const [name = '', groupName] = user.split(':')
  const entry = linesOf(passwd).find((fields) => fields[0] === name || fields[2] === name)
  const uid = idOf(name) ?? idOf(entry?.[2])
  const named = groupName === undefined ? entry?.[3] : linesOf(group).find(([own]) => own === groupName)?.[2]
  const gid = idOf(groupName) ?? idOf(named) ?? (groupName === undefined ? uid : null)
  return uid === null || gid === null ? null : { uid, gid }
}

/** The home folder of a user; null when there is none. */
export function homeOf({ uid }: Pick<Owner, 'uid'>, { passwd }: Pick<Accounts, 'passwd'>): string | null {
  const home = linesOf(passwd).find((fields) => fields[2] === String(uid))?.[5] ?? ''
  return home.startsWith('/') ? home : null
}

function linesOf(text: string): string[][] {
  return text.split('\n').map((line) => line.split(':'))
}

function idOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : null
}

/** `ID` and `VERSION_ID` of `os-release`. */
export function distributionOf(osRelease: string): { name: string; version: string } {
  const valueOf = (key: string): string => new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(osRelease)?.[1] ?? ''
  return { name: valueOf('ID'), version: valueOf('VERSION_ID') }
}
