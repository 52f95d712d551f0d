import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { check } from './health.js'

const http = { kind: 'http', path: '/up', intervalMs: 1_000, timeoutMs: 300 } as const
const sockets = new Set<Socket>()
let server: Server | undefined

async function listen(made: Server): Promise<{ ip: string; port: number }> {
  server = made
  made.on('connection', (socket: Socket) => sockets.add(socket))
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  return { ip: '127.0.0.1', port: (made.address() as AddressInfo).port }
}
const answering = (listener: RequestListener): Promise<{ ip: string; port: number }> =>
  listen(createHttpServer(listener))

afterEach(() => {
  for (const socket of sockets) socket.destroy()
  server?.close()
})

describe('a health check', () => {
  it('of a port passes when it accepts, and says port-closed when nothing does', async () => {
    const address = await listen(createServer())
    const port = { kind: 'port', intervalMs: 1_000, timeoutMs: 300 } as const
    expect(await check(port, address, 'app')).toEqual({ isPassed: true })
    server?.close()
    expect(await check(port, address, 'app')).toMatchObject({ isPassed: false, reason: 'port-closed' })
  })
  it.each([200, 204, 302, 399])('over HTTP passes with %i', async (status) => {
    const address = await answering((_request, response) => response.writeHead(status).end())
    expect(await check(http, address, 'app')).toEqual({ isPassed: true })
  })
  it.each([400, 404, 500, 503])('over HTTP fails with %i and says so', async (status) => {
    const address = await answering((_request, response) => response.writeHead(status).end())
    const result = await check(http, address, 'app')
    expect(result).toEqual({ isPassed: false, reason: 'check-failed', why: `GET /up answered ${status}` })
  })
  it('over HTTP names the app as its host and asks for the path', async () => {
    const seen: (string | undefined)[] = []
    const address = await answering((request, response) => {
      seen.push(request.headers.host, request.url)
      response.end()
    })
    await check(http, address, 'shop')
    expect(seen).toEqual(['shop', '/up'])
  })
  it('over HTTP passes although the body never ends', async () => {
    const address = await answering((_request, response) => response.writeHead(200).write('x'))
    expect(await check(http, address, 'app')).toEqual({ isPassed: true })
  })
  it('over HTTP fails when the answer drips in and never comes', async () => {
    const address = await listen(
      createServer((socket) => {
        const timer = setInterval(() => socket.write('H'), 50)
        socket.on('close', () => clearInterval(timer)).on('error', () => undefined)
      }),
    )
    expect(await check(http, address, 'app')).toMatchObject({ isPassed: false, reason: 'check-failed' })
  })
  it('over HTTP says port-closed when nothing accepts', async () => {
    const address = await listen(createServer())
    server?.close()
    expect(await check(http, address, 'app')).toMatchObject({ isPassed: false, reason: 'port-closed' })
  })
})
