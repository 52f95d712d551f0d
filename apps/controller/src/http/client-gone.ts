import type { FastifyReply } from 'fastify'

/** Aborts when the client leaves before it was answered. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('the client left'))
  })
  return gone.signal
}
