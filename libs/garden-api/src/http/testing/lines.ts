import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { waitFor } from '@croft/kit'

/** An endless answer, as it comes. */
export interface OpenAnswer {
  status: number
  headers: IncomingMessage['headers']
  /** All that came. */
  text(): string
  /** The values of the lines that came. */
  lines(): Record<string, unknown>[]
  /** Waits until so many lines are there. */
  until(count: number): Promise<Record<string, unknown>[]>
  isEnded(): boolean
  pause(): void
  resume(): void
  close(): void
}

export async function openAnswer(
  address: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<OpenAnswer> {
  const asked = request({ socketPath: address.slice('unix:'.length), path, headers: { host: 'api', ...headers } })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  let isEnded = false
  answer.on('data', (part: Buffer) => {
    text += part.toString()
  })
  answer.on('end', () => {
    isEnded = true
  })
  answer.on('error', () => undefined)
  const lines = (): Record<string, unknown>[] =>
    text
      .split('\n')
      .slice(0, -1)
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    text: () => text,
    lines,
    until: async (count) =>
      await waitFor(() => (lines().length >= count ? lines() : null), {
        what: `${count} lines`,
        timeoutMs: 5_000,
        everyMs: 2,
      }),
    isEnded: () => isEnded,
    pause: () => answer.pause(),
    resume: () => answer.resume(),
    close: () => asked.destroy(),
  }
}
