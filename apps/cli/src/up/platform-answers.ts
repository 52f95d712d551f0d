import { request } from 'node:http'

const TIMEOUT_MS = 2_000

/**
 * Whether the platform says of itself that a push would go through, asked through its router: one request on the way every
 * user's takes.
 */
export function platformAnswers(settings: { domain: string; httpPort: number; listen: readonly string[] }): Promise<boolean> {
  const [first = '127.0.0.1'] = settings.listen
  const host = first === '0.0.0.0' ? '127.0.0.1' : first === '::' ? '::1' : first
  return new Promise((resolve) => {
    const asked = request(
      {
        host,
        port: settings.httpPort,
        path: '/api/v1/health',
        headers: { host: `croft.${settings.domain}:${settings.httpPort}` },
        timeout: TIMEOUT_MS,
        agent: false,
      },
      (answer) => {
        answer.resume()
        resolve(answer.statusCode === 200)
      },
    )
    asked.once('timeout', () => asked.destroy(new Error('no answer')))
    asked.once('error', () => resolve(false))
    asked.end()
  })
}
