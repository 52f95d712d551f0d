import { request } from 'node:http'
import { messageOf } from '@croft/kit'

const TIMEOUT_MS = 2_000

export interface PlatformHealth {
  /** Whether a push would go through. */
  isReady: boolean
  /** What is missing, in words; empty when ready. */
  missing: string
}

/** Where the platform's own host is asked from this host. */
export interface HealthAddress {
  domain: string
  httpPort: number
  listen: readonly string[]
}

/** What an answer of `/api/v1/health` means. Pure. */
export function readHealth(status: number, body: string): PlatformHealth {
  const answer = parseAnswer(body)
  if (answer === undefined) return { isReady: false, missing: `its router answers with status ${status}` }
  const failing = answer.checks.filter(({ ok }) => ok !== true)
  return {
    isReady: status === 200 && answer.ready === true,
    missing: failing
      .map(({ name, detail }) => [name, detail].filter((part) => typeof part === 'string').join(': '))
      .join('; '),
  }
}

/** By hand, without a schema library: the supervisor stays small. */
function parseAnswer(body: string): { ready: unknown; checks: Record<string, unknown>[] } | undefined {
  try {
    const { ready, checks } = JSON.parse(body) as Record<string, unknown>
    return Array.isArray(checks) ? { ready, checks: checks as Record<string, unknown>[] } : undefined
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
}

/** Asks the platform for its health through its router: one request on the way every user's takes. */
export function askHealth({ domain, httpPort, listen }: HealthAddress): Promise<PlatformHealth> {
  const [first = '127.0.0.1'] = listen
  const host = first === '0.0.0.0' ? '127.0.0.1' : first === '::' ? '::1' : first
  return new Promise((resolve) => {
    const silent = (error: unknown): void =>
      resolve({ isReady: false, missing: `nothing answers at ${host}:${httpPort} (${messageOf(error)})` })
    const headers = { host: `croft.${domain}:${httpPort}` }
    const asked = request(
      { host, port: httpPort, path: '/api/v1/health', headers, timeout: TIMEOUT_MS, agent: false },
      (answer) => {
        let body = ''
        answer.setEncoding('utf8')
        answer.on('data', (part: string) => (body += part))
        answer.on('error', silent)
        answer.on('end', () => resolve(readHealth(answer.statusCode ?? 0, body)))
      },
    )
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
    asked.once('error', silent)
    asked.end()
  })
}
