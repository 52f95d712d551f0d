import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface LoadResult {
  sent: number
  /** Answered 2xx. */
  ok: number
  /** Everything else, in words: `503`, `ECONNRESET`, …, with how often. */
  failures: Record<string, number>
  /** Bodies seen, with how often. */
  bodies: Record<string, number>
  maxMs: number
}

export interface Load {
  /** Ends the load and gives what it saw. */
  stop(): Promise<LoadResult>
  readonly result: LoadResult
}

/** Sends GETs at a fixed rate (open loop, keep-alive) to `host` through a local port, until stopped or after `maxSeconds`. */
export function startLoad(options: {
  port: number
  host: string
  path?: string
  perSecond: number
  maxSeconds?: number
}): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const result: LoadResult = { sent: 0, ok: 0, failures: {}, bodies: {}, maxMs: 0 }
  const pending = new Set<Promise<void>>()
  const end = performance.now() + (options.maxSeconds ?? 120) * 1_000
  let isStopped = false
  const count = (kind: string): void => {
    result.failures[kind] = (result.failures[kind] ?? 0) + 1
  }

  const once = async (): Promise<void> => {
    const began = performance.now()
    await new Promise<void>((resolve) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: options.port,
          path: options.path ?? '/',
          agent,
          headers: { host: options.host },
          timeout: 40_000,
        },
        (response) => {
          let body = ''
          response.on('data', (chunk: Buffer) => (body += chunk.toString()))
          response.on('end', () => {
            const status = response.statusCode ?? 0
            if (status >= 200 && status < 300) {
              result.ok += 1
              const key = body.slice(0, 80)
              result.bodies[key] = (result.bodies[key] ?? 0) + 1
            } else count(`${status} ${String(response.headers['x-croft-error'] ?? '')}`.trim())
            resolve()
          })
          response.on('error', (error) => {
            count(`body ${error.message}`)
            resolve()
          })
        },
      )
      sent.on('timeout', () => sent.destroy(new Error('timeout')))
      sent.on('error', (error: NodeJS.ErrnoException) => {
        count(error.code ?? error.message)
        resolve()
      })
      sent.end()
    })
    result.maxMs = Math.max(result.maxMs, performance.now() - began)
  }

  const running = (async () => {
    const began = performance.now()
    while (!isStopped && performance.now() < end) {
      const due = Math.floor(((performance.now() - began) / 1_000) * options.perSecond)
      while (result.sent < due) {
        result.sent += 1
        const one = once().finally(() => pending.delete(one))
        pending.add(one)
      }
      await delay(5)
    }
  })()

  return {
    result,
    async stop() {
      isStopped = true
      await running
      await Promise.all(pending)
      agent.destroy()
      return result
    },
  }
}
