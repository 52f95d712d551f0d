import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { call } from '../testing/raw.js'
import { serveFake, type Served } from '../testing/serve.js'

let served: Served
let port: number
let guarded: number
beforeAll(async () => {
  served = await serveFake()
  port = Number((await served.server.listen({ address: 'tcp:127.0.0.1:0' })).split(':').at(-1))
  guarded = Number((await served.server.listen({ address: 'tcp:127.0.0.1:0', token: 'secret' })).split(':').at(-1))
  await served.backend.create({ handle: 'c' })
})
afterAll(async () => {
  await served.close()
})

async function statusOf(to: number, headers: Record<string, string>): Promise<number> {
  const asked = request({ host: '127.0.0.1', port: to, path: '/containers', method: 'POST', headers }).end('{}')
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.resume()
  return answer.statusCode ?? 0
}

describe('a web page in a browser of this machine', () => {
  it.each([
    ['says where it comes from', { origin: 'https://evil.example' }],
    ['says so although it was rebound to our address', { origin: 'http://evil.example', host: 'evil.example' }],
    ['asks for a name that was rebound to our address', { host: 'evil.example:7777' }],
  ])('cannot use a bare TCP address when it %s', async (_what, headers) => {
    expect(await statusOf(port, headers)).toBe(403)
  })

  it('cannot open a WebSocket to it', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/containers/c/processes`, { origin: 'https://evil.example' })
    const [error] = (await once(socket, 'error')) as [Error]
    expect(error.message).toContain('403')
  })

  it.each([{ host: 'api' }, { host: 'localhost:1' }, { host: '127.0.0.1' }, { host: '[::1]:7' }])(
    'is not who asks for %j',
    async (headers) => {
      expect(await statusOf(port, headers)).toBe(200)
    },
  )

  it('may come with a token, or through whoever stands in front of a unix socket', async () => {
    const origin = 'https://croft.example'
    expect(await statusOf(guarded, { origin, authorization: 'Bearer secret' })).toBe(200)
    expect(await statusOf(guarded, { origin })).toBe(401)
    expect((await call(served.address, 'GET', '/containers', undefined, { Origin: origin })).status).toBe(200)
  })
})
