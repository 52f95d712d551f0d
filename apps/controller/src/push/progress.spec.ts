import { connect, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { systemClock } from '@croft/kit'
import { fastify, type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { answerProgress } from './progress.js'

let server: FastifyInstance
beforeEach(() => (server = fastify()))
afterEach(() => server.close())

/** What becomes of work whose client leaves before it begins, or while it goes on. */
async function leave(when: 'before' | 'meanwhile', isDetached: boolean): Promise<boolean> {
  let began = (): void => undefined
  const beginning = new Promise<void>((done) => (began = done))
  const ended = new Promise<boolean>((done, fail) => {
    server.post('/', async (_request, reply) => {
      const closed = once(reply.raw, 'close')
      if (when === 'before') {
        began()
        await closed
      }
      const options = { isDetached, firstLine: 'first' }
      answerProgress(reply, systemClock, options, async (_output, abandoned) => {
        began()
        await closed
        done(abandoned.aborted)
        return { outcome: 'deployed', release: 1 }
      }).catch(fail)
      return reply
    })
  })
  await server.listen({ host: '127.0.0.1', port: 0 })
  const client = connect((server.server.address() as AddressInfo).port, '127.0.0.1')
  client.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n')
  await beginning
  client.destroy()
  return ended
}

describe('work whose progress is told', () => {
  it.each(['before', 'meanwhile'] as const)('ends with a client that leaves %s', async (when) => {
    expect(await leave(when, false)).toBe(true)
  })

  it.each(['before', 'meanwhile'] as const)(
    'goes on without a client that left %s where it is detached',
    async (when) => {
      expect(await leave(when, true)).toBe(false)
    },
  )
})
