import { request } from 'node:http'
import { connect } from 'node:net'
import type { HealthCheck } from '@croft/protocol'

/** What one look at an instance gave. `check-failed`: it answers, but not as it should. */
export type CheckResult = { isPassed: true } | { isPassed: false; reason: 'port-closed' | 'check-failed'; why: string }

/** Asks an instance once, from outside its container, within the check's time-out. Never rejects. */
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

const closed = (why: string): CheckResult => ({ isPassed: false, reason: 'port-closed', why })
const failed = (why: string): CheckResult => ({ isPassed: false, reason: 'check-failed', why })

function dial(ip: string, port: number, timeoutMs: number): Promise<CheckResult> {
  return new Promise((resolve) => {
    const socket = connect({ host: ip, port })
    const end = (result: CheckResult): void => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(timeoutMs, () => end(closed(`port ${port} did not answer within ${timeoutMs} ms`)))
    socket.once('connect', () => end({ isPassed: true }))
    socket.once('error', () => end(closed(`nothing accepts connections on port ${port}`)))
  })
}

function ask(ip: string, port: number, path: string, host: string, timeoutMs: number): Promise<CheckResult> {
  return new Promise((resolve) => {
    /* the deadline is for all of it: an answer that drips in is none */
    const deadline = AbortSignal.timeout(timeoutMs)
    let isConnected = false
    const asked = request(
      { host: ip, port, path, agent: false, signal: deadline, headers: { host, 'user-agent': 'croft-health' } },
      (response) => {
        response.resume()
        const status = response.statusCode ?? 0
        const isGood = status >= 200 && status < 400
        resolve(isGood ? { isPassed: true } : failed(`GET ${path} answered ${status}`))
        asked.destroy()
      },
    )
    asked.once('socket', (socket) => socket.once('connect', () => (isConnected = true)))
    asked.on('error', () => {
      if (!isConnected) resolve(closed(`nothing accepts connections on port ${port}`))
      else if (deadline.aborted) resolve(failed(`GET ${path} was not answered within ${timeoutMs} ms`))
      else resolve(failed(`the connection broke before GET ${path} was answered`))
    })
    asked.end()
  })
}
