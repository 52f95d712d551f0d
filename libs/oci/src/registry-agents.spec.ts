import { createServer as createPlain, type RequestListener, type Server } from 'node:http'
import { createServer as createTls } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { makeCertificates } from '@croft/kit/testing/certificates'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from './digest.js'
import { ExternalRegistry } from './external-registry.js'
import { ForeignRegistry } from './foreign-registry.js'
import { mediaTypes } from './media-types.js'
import { NO_PROXIES, type ProxySettings } from './proxy-choice.js'
import type { SessionOptions } from './registry-session.js'

/** Registries that only a proxy finds, for their names mean nothing here. */

const authority = makeCertificates('authority', ['registry.example', 'tokens.example', 'blobs.example'])
const certificates = () => Promise.resolve(authority.ca)
const { signal } = new AbortController()
const bytes = Buffer.from('a layer')
const blob = { digest: digestOf(bytes), size: bytes.length }
const timeouts = { answerMs: 2_000, idleMs: 2_000 }

let servers: { close: () => unknown; closeAllConnections: () => void }[]
let tunnels: Set<Socket>
/** What the proxy was asked for. */
let asked: string[]
/** What the registry was sent, with the credentials. */
let heard: string[]
let proxy: string
let isClosed: boolean

const listen = async (server: Server): Promise<number> => {
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

const registry: RequestListener = (request, answer) => {
  const { method, url = '', headers } = request
  heard.push(`${headers.host} ${headers.authorization ?? '-'} ${headers['proxy-authorization'] ?? '-'}`)
  request.resume().on('end', () => {
    if (url.startsWith('/token')) return answer.end('{"token":"t0ken"}')
    if (headers.host === 'blobs.example') return answer.end(bytes)
    if (headers.authorization === undefined) {
      return answer
        .writeHead(401, { 'www-authenticate': 'Bearer realm="https://tokens.example/token",service="s"' })
        .end()
    }
    if (url.includes('/blobs/sha256')) return answer.writeHead(307, { location: 'https://blobs.example/x' }).end()
    if (method === 'POST') return answer.writeHead(202, { location: '/v2/team/abc/blobs/uploads/7' }).end()
    if (method === 'PUT') return answer.writeHead(201).end()
    answer.setHeader('content-type', mediaTypes.manifest).end('{}')
  })
}

beforeEach(async () => {
  servers = []
  tunnels = new Set()
  asked = []
  heard = []
  isClosed = false
  const at = await listen(createTls(authority.server, registry))
  const plainAt = await listen(createPlain(registry))
  const door = createPlain((request, answer) => {
    asked.push(`${request.method} ${request.url}`)
    const { pathname } = new URL(request.url ?? '')
    void fetch(`http://127.0.0.1:${plainAt}${pathname}`, { headers: { authorization: 'plain' } }).then(async (found) =>
      answer
        .writeHead(found.status, { 'content-type': found.headers.get('content-type') ?? '' })
        .end(await found.text()),
    )
  })
  door.on('connect', (request, socket: Socket, head) => {
    const secret = request.headers['proxy-authorization']
    asked.push(`CONNECT ${request.url}${secret === undefined ? '' : ` ${secret}`}`)
    if (isClosed) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const inner = connect(at, '127.0.0.1')
    for (const one of [socket, inner]) tunnels.add(one.on('error', () => one.destroy()))
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    inner.write(head)
    socket.pipe(inner).pipe(socket)
  })
  proxy = `127.0.0.1:${await listen(door)}`
})
afterEach(() => {
  for (const one of tunnels) one.destroy()
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
})

const found = (settings: Partial<ProxySettings> = {}): SessionOptions => ({
  certificates,
  proxies: () => Promise.resolve({ ...NO_PROXIES, https: `http://${proxy}`, ...settings }),
})
const foreign = (options: SessionOptions, host = 'registry.example') =>
  new ForeignRegistry({ host, name: 'app' }, { username: 'u', password: 'p' }, timeouts, options)

describe('a registry behind a proxy', () => {
  it('is asked through it, as are its token server and where it sends us; the proxy sees no credentials of it', async () => {
    const one = foreign(found())
    expect((await one.manifest('v1', signal)).bytes.toString()).toBe('{}')
    expect(await one.document({ ...blob, mediaType: mediaTypes.layerTar }, signal)).toEqual(bytes)
    expect([...new Set(asked)].toSorted()).toEqual(
      ['blobs', 'registry', 'tokens'].map((name) => `CONNECT ${name}.example:443`),
    )
    expect(heard.filter((line) => line.startsWith('registry'))).toContain('registry.example Bearer t0ken -')
    expect(heard.at(-1)).toBe('blobs.example - -')
    await one.close()
  })

  it('is pushed to through it', async () => {
    const options = {
      url: 'https://registry.example/team',
      credentials: { username: 'u', password: 'p' },
      homeId: 'abc',
    }
    const one = new ExternalRegistry({ ...options, timeouts, ...found() })
    await one.putBlob(blob, () => bytes, signal)
    expect(asked).toContain('CONNECT registry.example:443')
    await one.close()
  })

  it('that speaks plain HTTP is asked through it without a tunnel', async () => {
    const options = { url: 'http://registry.example:5000/team', credentials: null, homeId: 'abc' }
    const one = new ExternalRegistry({ ...options, timeouts, ...found({ http: proxy }) })
    expect((await one.manifest('v1', signal)).bytes.toString()).toBe('{}')
    expect(asked).toEqual(['GET http://registry.example:5000/v2/team/abc/manifests/v1'])
    await one.close()
  })

  it('gets a proxy its own credentials, and the registry none of them', async () => {
    const one = foreign(found({ https: `http://me:secret@${proxy}` }))
    await one.manifest('v1', signal)
    const secret = Buffer.from('me:secret').toString('base64')
    expect(asked).toContain(`CONNECT registry.example:443 Basic ${secret}`)
    expect(heard.join('\n')).not.toContain(secret)
    await one.close()
  })

  it('is not trusted more for that: its certificate is checked', async () => {
    const one = foreign({ ...found(), certificates: () => Promise.resolve('') })
    await expect(one.manifest('v1', signal)).rejects.toThrow('the certificate of registry.example is not trusted')
    expect(heard).toEqual([])
    await one.close()
  })

  it('that lets nobody through is named as what is in the way', async () => {
    isClosed = true
    const one = foreign(found())
    await expect(one.manifest('v1', signal)).rejects.toMatchObject({
      title: 'the registry registry.example cannot be reached',
      detail: expect.stringMatching(/^registry\.example through the proxy 127\.0\.0\.1:\d+: .*403/),
    })
    await one.close()
  })
})

describe('a registry on this machine, and one that no_proxy names', () => {
  it('is asked straight', async () => {
    const here = `localhost:${await listen(createPlain((_request, answer) => void answer.setHeader('content-type', mediaTypes.manifest).end('{}')))}`
    const one = foreign(found({ http: `http://${proxy}` }), here)
    expect((await one.manifest('v1', signal)).bytes.toString()).toBe('{}')
    await one.close()
    const named = foreign(found({ noProxy: 'example' }))
    await expect(named.manifest('v1', signal)).rejects.toThrow('registry.example cannot be reached')
    await named.close()
    expect(asked).toEqual([])
  })
})
