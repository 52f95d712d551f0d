import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, lstat, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CroftError, errnoOf } from '@croft/kit'
import type { UserIds } from './users.js'
import { writeFileWhole } from './write-file-whole.js'

/** The home of a platform cannot be used as it is. */
export class HomeUnusable extends CroftError {
  constructor(title: string, suggestion: string) {
    super({ code: 'home-unusable', status: 400, title, suggestion })
  }
}

const HOMES_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** What lies in a home, who owns it and who else may look into it. */
const FOLDERS: readonly { path: string; owner: keyof UserIds; mode: number }[] = [
  { path: 'pg', owner: 'croft-db', mode: 0o700 },
  { path: 'redis', owner: 'croft-redis', mode: 0o700 },
  { path: 'git', owner: 'croft', mode: 0o700 },
  { path: 'registry', owner: 'croft', mode: 0o700 },
  { path: 'controller', owner: 'croft', mode: 0o700 },
  { path: 'router', owner: 'croft-router', mode: 0o700 },
  { path: 'node', owner: 'root', mode: 0o700 },
  { path: 'log', owner: 'root', mode: 0o700 },
  { path: 'program', owner: 'root', mode: 0o755 },
]

/** The folders of the run directory: each lets its owner and one client in; what lies in it may be open to all. */
const RUN_FOLDERS: readonly { path: string; owner: keyof UserIds; group: keyof UserIds; mode: number }[] = [
  { path: 'pg', owner: 'croft-db', group: 'croft', mode: 0o750 },
  { path: 'redis', owner: 'croft-redis', group: 'croft', mode: 0o750 },
  { path: 'api', owner: 'croft', group: 'croft-haproxy', mode: 0o750 },
  { path: 'control', owner: 'croft', group: 'croft-router', mode: 0o750 },
  { path: 'node', owner: 'croft', group: 'root', mode: 0o750 },
  { path: 'haproxy', owner: 'croft-haproxy', group: 'croft-router', mode: 0o750 },
  { path: 'router', owner: 'croft-router', group: 'croft-haproxy', mode: 0o750 },
  { path: 'push', owner: 'croft', group: 'croft', mode: 0o700 },
  { path: 'pids', owner: 'root', group: 'root', mode: 0o700 },
  { path: 'containers', owner: 'root', group: 'root', mode: 0o700 },
]

/**
 * Refuses a home that is something else, or that the components' users could not reach. Changes nothing.
 * @throws HomeUnusable
 */
export async function checkHome(home: string): Promise<void> {
  for (let parent = dirname(home); ; parent = dirname(parent)) {
    const info = await statOrNothing(parent)
    if (info !== undefined && !info.isDirectory()) {
      throw new HomeUnusable(`${parent} is not a folder, so ${home} cannot be Croft's home`, 'name another with --home')
    }
    if (info !== undefined && (info.mode & 0o001) === 0) {
      throw new HomeUnusable(
        `the users Croft's components run as cannot search ${parent}, so ${home} cannot be its home`,
        `chmod o+x ${parent}, or name another home with --home`,
      )
    }
    if (parent === '/') break
  }
  let names: string[]
  try {
    if (!(await lstat(home)).isDirectory()) {
      throw new HomeUnusable(`${home} is not a folder`, 'name another home with --home')
    }
    names = await readdir(home)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  if (names.length === 0) return
  if (!names.includes('id')) {
    throw new HomeUnusable(`${home} holds other files and is no Croft home`, 'name an empty folder with --home')
  }
  if (!HOMES_ID.test((await readFile(join(home, 'id'), 'utf8')).trim())) {
    throw new HomeUnusable(
      `${join(home, 'id')} is damaged`,
      `restore ${home} from a backup, or start with another --home`,
    )
  }
}

export interface PreparedHome {
  id: string
  /** Hex SHA-256 of the operator's token. */
  operatorTokenSha256: string
}

/** Makes what is missing of a home, and repairs owners and modes. */
export async function prepareHome(home: string, users: UserIds): Promise<PreparedHome> {
  await mkdir(home, { recursive: true, mode: 0o711 })
  await chmod(home, 0o711)
  const id = await readOrMake(join(home, 'id'), () => randomUUID(), 0o644)
  const token = await readOrMake(
    join(home, 'operator-token'),
    () => `croft_${randomBytes(32).toString('base64url')}`,
    0o600,
  )
  await Promise.all(
    FOLDERS.map(({ path, owner, mode }) => ownFolder(join(home, path), users[owner].uid, users[owner].gid, mode)),
  )
  return { id, operatorTokenSha256: createHash('sha256').update(token).digest('hex') }
}

/** Makes the run directory of a home, which is gone after a reboot. */
export async function prepareRun(run: string, users: UserIds): Promise<void> {
  await mkdir(run, { recursive: true, mode: 0o755 })
  await Promise.all([chmod(dirname(run), 0o755), chmod(run, 0o755)])
  await Promise.all(
    RUN_FOLDERS.map(({ path, owner, group, mode }) =>
      ownFolder(join(run, path), users[owner].uid, users[group].gid, mode),
    ),
  )
}

async function ownFolder(path: string, uid: number, gid: number, mode: number): Promise<void> {
  await mkdir(path, { recursive: true, mode })
  await chown(path, uid, gid)
  await chmod(path, mode)
}

async function readOrMake(path: string, make: () => string, mode: number): Promise<string> {
  if (!existsSync(path)) writeFileWhole(path, `${make()}\n`, mode)
  return (await readFile(path, 'utf8')).trim()
}

async function statOrNothing(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    if (errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
