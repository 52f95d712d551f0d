import type { OutgoingHttpHeaders } from 'node:http'
import type { Clock } from '@croft/kit'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import type { PushEnd } from './run-push.js'
import { PushOutput, type OutputForm } from './push-output.js'

/** One line of the answer: what a push would show, an empty one that keeps the connection warm, or the end. */
export const progressSchema = z.union([
  z.object({ line: z.string() }),
  z.object({ outcome: z.literal('deployed'), release: z.int() }),
  z.object({ outcome: z.literal('refused'), reason: z.string(), cause: z.string(), suggestion: z.string() }),
])

const asJson = (value: z.infer<typeof progressSchema>): Buffer => Buffer.from(`${JSON.stringify(value)}\n`)
const JSON_LINES: OutputForm = {
  encode: (text) => asJson({ line: text.replace(/\n$/, '') }),
  keepAlive: Buffer.from('\n'),
}

/** Answers with one JSON object a line as `work` goes on, which ends with the client unless it is detached. */
export async function answerProgress(
  reply: FastifyReply,
  clock: Clock,
  { isDetached, firstLine }: { isDetached: boolean; firstLine: string },
  work: (output: PushOutput, abandoned: AbortSignal) => Promise<PushEnd>,
): Promise<void> {
  const gone = new AbortController()
  reply.header('Cache-Control', 'no-store').header('X-Accel-Buffering', 'no').type('application/x-ndjson')
  reply.hijack()
  reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders)
  const output = new PushOutput((bytes) => void reply.raw.write(bytes), clock, JSON_LINES)
  const left = (): void => {
    output.mute()
    if (!isDetached && !reply.raw.writableFinished) gone.abort(new Error('the client left'))
  }
  output.keepWarm(firstLine)
  if (reply.raw.destroyed) left() // while its request was dealt with
  else reply.raw.once('close', left)
  const end = await work(output, gone.signal)
  output.stop()
  if (!reply.raw.destroyed) reply.raw.end(asJson(end))
}
