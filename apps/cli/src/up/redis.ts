import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { bareEnv } from '@croft/kit'
import type { Component } from './component.js'
import type { Ids } from './users.js'
import { writeFileWhole } from './write-file-whole.js'

/** Our own redis-server: one unix socket, an append-only file, one user who cannot empty or reconfigure it. */

export interface RedisPlace {
  home: string
  /** `RUN/redis/redis.sock`. */
  socket: string
}

const USER = 'croft'
const FORBIDDEN = [
  'flushall',
  'flushdb',
  'config',
  'shutdown',
  'debug',
  'acl',
  'module',
  'replicaof',
  'slaveof',
  'bgsave',
  'save',
]

/** Writes the access list, with a password made once; gives the address for the controller. */
export async function prepareRedis(place: RedisPlace, owner: Ids): Promise<string> {
  const passwordFile = join(place.home, 'redis-password')
  if (!existsSync(passwordFile)) writeFileWhole(passwordFile, `${randomBytes(32).toString('hex')}\n`)
  const password = (await readFile(passwordFile, 'utf8')).trim()
  const acl = aclOf(place)
  const digest = createHash('sha256').update(password).digest('hex')
  writeFileWhole(
    acl,
    `user default off\nuser ${USER} on #${digest} ~* &* +@all ${FORBIDDEN.map((name) => `-${name}`).join(' ')}\n`,
  )
  await chown(acl, owner.uid, owner.gid)
  return `redis://${USER}:${password}@localhost/?path=${place.socket}`
}

const folderOf = (place: RedisPlace): string => join(place.home, 'redis')
const aclOf = (place: RedisPlace): string => join(folderOf(place), 'users.acl')

/** How the server runs. */
export function redisComponent(place: RedisPlace): Component {
  const settings: Record<string, string> = {
    port: '0',
    unixsocket: place.socket,
    unixsocketperm: '666',
    dir: folderOf(place),
    aclfile: aclOf(place),
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
    'aof-load-truncated': 'yes',
    databases: '1',
  }
  return {
    name: 'redis',
    user: 'croft-redis',
    command: '/usr/bin/redis-server',
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    env: bareEnv(),
    after: [],
    isReady: () => accepts(place.socket),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    staysWhenStopped: false,
  }
}

/** Whether somebody listens at a unix socket. */
export function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const answer = (isOpen: boolean): void => {
      socket.destroy()
      resolve(isOpen)
    }
    socket.setTimeout(1_000, () => answer(false))
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
