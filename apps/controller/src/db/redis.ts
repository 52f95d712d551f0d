import { Redis, type RedisOptions } from 'ioredis'

/**
 * Connection options of a Redis URL: `redis://` and `rediss://`, with `?path=/run/redis.sock` for a socket,
 * `unix://user:password@/run/redis.sock?db=1`, or a bare socket path.
 * @throws TypeError when the URL cannot be read.
 */
export function redisOptions(url: string): RedisOptions {
  if (url.startsWith('/')) return { path: url }
  const match = /^unix:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?(\/[^?]*)(?:\?db=(\d+))?$/.exec(url)
  if (match !== null) {
    const [, username, password, path, db] = match
    return {
      path: decodeURIComponent(path ?? ''),
      ...(username !== undefined && username !== '' && { username: decodeURIComponent(username) }),
      ...(password !== undefined && { password: decodeURIComponent(password) }),
      ...(db !== undefined && { db: Number(db) }),
    }
  }
  const parsed = new URL(url)
  if (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:') {
    throw new TypeError(`not a Redis URL: it starts with ${parsed.protocol}`)
  }
  const path = parsed.searchParams.get('path')
  const address =
    path === null
      ? { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: parsed.port === '' ? 6379 : Number(parsed.port) }
      : { path }
  return {
    ...address,
    ...(parsed.username !== '' && { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password !== '' && { password: decodeURIComponent(parsed.password) }),
    ...(parsed.pathname.length > 1 && { db: Number(parsed.pathname.slice(1)) }),
    ...(parsed.protocol === 'rediss:' && { tls: {} }),
  }
}

/** A connection for short commands: it fails at once while Redis is away instead of piling commands up. */
export function createRedis(url: string): Redis {
  const redis = new Redis({
    ...redisOptions(url),
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    connectTimeout: 5_000,
    commandTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(2_000, 50 * attempt),
  })
  return redis
}
