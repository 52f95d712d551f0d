import { request } from 'node:http'
import { connect } from 'node:net'
import type { HealthCheck } from '@croft/protocol'

/** What one look at an instance gave. */
export type CheckResult = { isPassed: true } | { isPassed: false; why: string }

/** Asks an instance once, from outside its container. Never rejects. */
export async function check(
  health: HealthCheck,
  address: { ip: string; port: number | null },
  host: string,
): Promise<CheckResult> {
  if (health.kind === 'uptime' || address.port === null) return { isPassed: true }
  return health.kind === 'port'
    ? await dial(address.ip, address.port, health.timeoutMs)
    : await ask(address.ip, address.port, health.path, host, health.timeoutMs)
}

function dial(ip: string, port: number, timeoutMs: number): Promise<CheckResult> {
  return new Promise((resolve) => {
    const socket = connect({ host: ip, port })
    const end = (result: CheckResult): void => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(timeoutMs, () =>
      end({ isPassed: false, why: `port ${port} did not answer within ${timeoutMs} ms` }),
    )
    socket.once('connect', () => end({ isPassed: true }))
    socket.once('error', () => end({ isPassed: false, why: `nothing accepts connections on port ${port}` }))
  })
}

function ask(ip: string, port: number, path: string, host: string, timeoutMs: number): Promise<CheckResult> {
  return new Promise((resolve) => {
    const asked = request(
      { host: ip, port, path, agent: false, timeout: timeoutMs, headers: { host, 'user-agent': 'croft-health' } },
      (response) => {
        response.resume()
        const status = response.statusCode ?? 0
        resolve(
          status >= 200 && status < 400
            ? { isPassed: true }
            : { isPassed: false, why: `GET ${path} answered ${status}` },
        )
        asked.destroy()
      },
    )
    asked.once('timeout', () => {
      resolve({ isPassed: false, why: `GET ${path} was not answered within ${timeoutMs} ms` })
      asked.destroy()
    })
    asked.once('error', () => resolve({ isPassed: false, why: `nothing accepts connections on port ${port}` }))
    asked.end()
  })
}
