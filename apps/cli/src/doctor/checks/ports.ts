import { createServer } from 'node:net'
import { errnoOf, run } from '@croft/kit'
import { isAlive } from '../../up/process-ref.js'
import { findLocalPlatform } from '../../platform/local-platform.js'
import type { Settings } from '../../up/settings.js'
import type { Check, Finding } from '../check.js'

/** Nobody else holds the port the router wants. */
export const ports: Check = {
  name: 'ports',
  phase: 'host',
  async run(settings): Promise<Finding> {
    const { httpPort, listen } = settings
    if (await isOurs(settings)) return { status: 'ok', detail: `${httpPort} is this platform's` }
    for (const address of listen) {
      const problem = await tryToBind(address, httpPort)
      if (problem === 'EADDRINUSE') {
        return {
          status: 'failed',
          detail: `port ${httpPort} on ${address} is in use${await holder(httpPort)}`,
          remedy: 'choose another with --http-port, or stop what holds it',
        }
      }
      if (problem === 'EADDRNOTAVAIL') {
        return {
          status: 'failed',
          detail: `${address} is no address of this host`,
          remedy: 'name one of its addresses with --listen',
        }
      }
      if (problem !== undefined) {
        return {
          status: 'failed',
          detail: `port ${httpPort} on ${address} cannot be bound: ${problem}`,
          remedy: 'choose another with --http-port',
        }
      }
    }
    return { status: 'ok', detail: `${httpPort} is free` }
  },
}

/** Whether the home's own HAProxy still runs and holds that port. */
async function isOurs({ home, httpPort }: Settings): Promise<boolean> {
  const platform = await findLocalPlatform(home)
  const haproxy = platform?.state.components.find(({ name }) => name === 'haproxy')
  if (haproxy?.pid == null || haproxy.startTime === null) return false
  return platform?.state.settings.httpPort === httpPort && isAlive({ pid: haproxy.pid, startTime: haproxy.startTime })
}

function tryToBind(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(errnoOf(error) ?? error.message))
    server.listen({ host, port, ipv6Only: host.includes(':') }, () => server.close(() => resolve(undefined)))
  })
}

/** ` by nginx (pid 12)` when `ss` can tell. */
async function holder(port: number): Promise<string> {
  try {
    const { stdout } = await run('ss', ['-Hltnp', `sport = :${port}`], { timeoutMs: 5_000 })
    const found = /users:\(\("([^"]+)",pid=(\d+)/.exec(stdout.toString())
    return found === null ? '' : ` by ${found[1]} (pid ${found[2]})`
  } catch {
    return '' // the message is good without it
  }
}
