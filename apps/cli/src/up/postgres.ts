import { existsSync } from 'node:fs'
import { chmod, chown, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bareEnv, errnoOf, run } from '@croft/kit'
import type { Component } from './component.js'
import { runAs } from './launch-vector.js'
import { processRef } from './process-ref.js'
import type { Ids } from './users.js'

/** The embedded PostgreSQL 18: one cluster in the home, reachable through one socket only, by operating-system user. */

const SUPERUSER = 'croft-db'
const DATABASE = 'croft'
const ROLE = 'croft'

export interface PostgresPlace {
  /** Folder with `bin/ lib/ share/` of the server. */
  native: string
  /** `<home>/pg`. */
  folder: string
  /** `RUN/pg`, where the socket is. */
  socketFolder: string
}

const dataOf = (place: PostgresPlace): string => join(place.folder, 'data')

/** The address for clients running as user `croft`. */
export function postgresUrl(place: PostgresPlace): string {
  return `postgres://${ROLE}@localhost/${DATABASE}?host=${place.socketFolder}`
}

/** Makes the cluster, the role and the database; nothing when they are there. A half-made one is made anew. */
export async function preparePostgres(place: PostgresPlace, owner: Ids): Promise<void> {
  const data = dataOf(place)
  if (existsSync(data)) return
  const fresh = `${data}.new`
  await rm(fresh, { recursive: true, force: true })
  const asDb = async (program: string, args: string[], input?: string): Promise<void> => {
    const vector = runAs('croft-db', join(place.native, 'bin', program), args)
    await run(vector.command, vector.args, {
      cwd: '/',
      timeoutMs: 120_000,
      env: bareEnv(),
      ...(input !== undefined && { input }),
    })
  }
  await asDb('initdb', [
    '-D',
    fresh,
    '-U',
    SUPERUSER,
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
    '--auth=peer',
    '--no-sync',
    '--no-instructions',
  ])
  // Single-user mode needs no server: one statement a line, no transaction around it.
  await asDb(
    'postgres',
    ['--single', '-D', fresh, 'postgres'],
    `CREATE ROLE ${ROLE} LOGIN\nCREATE DATABASE ${DATABASE} OWNER ${ROLE}\n`,
  )
  await writeFile(join(fresh, 'pg_hba.conf'), ACCESS)
  for (const name of ['pg_hba.conf']) {
    await chown(join(fresh, name), owner.uid, owner.gid)
    await chmod(join(fresh, name), 0o600)
  }
  await run('/usr/bin/sync', ['-f', fresh], { timeoutMs: 60_000 })
  await rename(fresh, data)
}

/** Whoever the kernel says is at the other end of the socket is who he is to the server. */
const ACCESS = `# TYPE  DATABASE  USER       METHOD
local   ${DATABASE}     ${ROLE}      peer
local   all       ${SUPERUSER}   peer
`

/** How the server runs. */
export function postgresComponent(place: PostgresPlace): Component {
  const data = dataOf(place)
  const settings = {
    listen_addresses: '',
    unix_socket_directories: place.socketFolder,
    unix_socket_permissions: '0666',
    shared_buffers: '32MB',
    max_connections: '60',
    io_method: 'sync',
    jit: 'off',
    max_wal_size: '256MB',
    log_checkpoints: 'off',
    log_timezone: 'UTC',
    timezone: 'UTC',
  }
  return {
    name: 'postgres',
    user: 'croft-db',
    command: join(place.native, 'bin/postgres'),
    args: ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    env: bareEnv(),
    after: [],
    prepare: async () => {
      await disarmLock(join(data, 'postmaster.pid'))
      await disarmLock(join(place.socketFolder, '.s.PGSQL.5432.lock'))
    },
    isReady: () => saysReady(join(data, 'postmaster.pid')),
    stopSignal: 'SIGINT', // "fast": ends sessions, writes a checkpoint
    stopTimeoutMs: 20_000,
    staysWhenStopped: false,
  }
}

/** The eighth line of postmaster.pid is the server's own word on whether it takes connections. */
async function saysReady(pidFile: string): Promise<boolean> {
  const lines = (await readFile(pidFile, 'utf8')).split('\n')
  return lines[7]?.trim() === 'ready' && processRef(Number(lines[0])) !== undefined
}

/** Above the largest pid Linux gives (2^22). */
const NOBODY = 4_194_305

/**
 * Makes a server's lock file name nobody when the process it names is gone or only a corpse: where nobody reaps orphans, as under
 * some container inits, a killed server stays one for ever, and its pid would block every later start. The rest of the file
 * stays, and with it the server's own check that no backend of before still holds the shared memory.
 */
export async function disarmLock(file: string): Promise<void> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  const [pid = '', ...rest] = text.split('\n')
  if (processRef(Number(pid)) === undefined) await writeFile(file, [String(NOBODY), ...rest].join('\n'))
}
