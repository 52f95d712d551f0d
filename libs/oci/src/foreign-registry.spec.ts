import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { digestOf } from './digest.js'
import { ForeignRegistry } from './foreign-registry.js'
import { isLinkLocal } from './registry-session.js'
import { mediaTypes } from './media-types.js'

const signal = new AbortController().signal
const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void
async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return `localhost:${(server.address() as AddressInfo).port}`
}
const manifest = Buffer.from('{"schemaVersion":2}')
const give: Handler = (_request, response) => {
  response.setHeader('content-type', mediaTypes.manifest).end(manifest)
}

describe('a registry of somebody else', () => {
  it('gives a manifest by tag with its own digest, and by digest only that one', async () => {
    const registry = new ForeignRegistry({ host: await serve(give), name: 'a/b' }, null)
    expect(await registry.manifest('v1', signal)).toEqual({
      digest: digestOf(manifest),
      mediaType: mediaTypes.manifest,
      bytes: manifest,
    })
    await expect(registry.manifest(digestOf('other'), signal)).rejects.toThrow('answered another manifest')
    await registry.close()
  })

  it.each([
    ['other bytes', Buffer.from('evil!'), 'does not match its digest'],
    ['more bytes', Buffer.from('hello, world'), 'is longer than'],
    ['fewer bytes', Buffer.from('he'), 'has 2 bytes, not 5'],
  ])('that gives %s for a blob is told at the end of the stream', async (_what, bytes, why) => {
    const host = await serve((_request, response) => void response.end(bytes))
    const registry = new ForeignRegistry({ host, name: 'app' }, null)
    const descriptor = { mediaType: mediaTypes.layerTar, digest: digestOf('hello'), size: 5 }
    await expect(registry.document(descriptor, signal)).rejects.toThrow(why)
    await registry.close()
  })

  it('is sent credentials only as it asks: to its token server, and the token to itself', async () => {
    const seen: string[] = []
    const tokens = await serve((request, response) => {
      seen.push(`token ${request.url} ${request.headers.authorization}`)
      response.end('{"token":"t0ken"}')
    })
    const host = await serve((request, response) => {
      seen.push(`registry ${request.headers.authorization ?? '-'}`)
      if (request.headers.authorization === 'Bearer t0ken') return give(request, response)
      response.setHeader('www-authenticate', `Bearer realm="http://${tokens}/token",service="s"`).writeHead(401).end()
    })
    const registry = new ForeignRegistry({ host, name: 'app' }, { username: 'u', password: 'p' })
    await registry.manifest('v1', signal)
    await registry.close()
    const basic = `Basic ${Buffer.from('u:p').toString('base64')}`
    expect(seen).toEqual([
      'registry -',
      `token /token?service=s&scope=repository%3Aapp%3Apull ${basic}`,
      'registry Bearer t0ken',
    ])
  })

  it('that redirects to another host gets no credentials there', async () => {
    let there: string | undefined = 'not asked'
    const other = await serve((request, response) => {
      there = request.headers.authorization
      response.end('hello')
    })
    const host = await serve((request, response) => {
      if (request.headers.authorization === undefined) {
        return void response.setHeader('www-authenticate', 'Basic realm="x"').writeHead(401).end()
      }
      response.setHeader('location', `http://${other}/blob`).writeHead(307).end()
    })
    const registry = new ForeignRegistry({ host, name: 'app' }, { username: 'u', password: 'p' })
    const descriptor = { mediaType: mediaTypes.layerTar, digest: digestOf('hello'), size: 5 }
    expect((await registry.document(descriptor, signal)).toString()).toBe('hello')
    expect(there).toBeUndefined()
    await registry.close()
  })

  it.each([
    ['plain HTTP elsewhere', 'http://registry.example/x'],
    ['another protocol', 'file:///etc/passwd'],
    ['credentials in a URL', 'https://u:p@registry.example/x'],
  ])('that redirects to %s is refused', async (_what, location) => {
    const host = await serve((_request, response) => void response.setHeader('location', location).writeHead(302).end())
    const registry = new ForeignRegistry({ host, name: 'app' }, null)
    await expect(registry.manifest('v1', signal)).rejects.toThrow('where it may not')
    await registry.close()
  })

  it('that redirects without end is left', async () => {
    const host = await serve(
      (request, response) =>
        void response
          .setHeader('location', request.url ?? '/')
          .writeHead(302)
          .end(),
    )
    const registry = new ForeignRegistry({ host, name: 'app' }, null)
    await expect(registry.manifest('v1', signal)).rejects.toThrow('again and again')
    await registry.close()
  })

  it.each<[string, Handler, string]>([
    [
      'wants credentials',
      (_q, r) => void r.setHeader('www-authenticate', 'Basic realm="x"').writeHead(401).end(),
      'does not let us pull app',
    ],
    ['has no such image', (_q, r) => void r.writeHead(404).end(), 'has no such image'],
    ['is broken', (_q, r) => void r.writeHead(503).end(), 'answered 503'],
    ['hangs up', (q) => void q.socket.destroy(), 'cannot be reached'],
    ['sends documents without end', (_q, r) => void r.end(Buffer.alloc(5 * 1024 * 1024)), 'more than'],
  ])('that %s is one clear line', async (_what, handler, why) => {
    const registry = new ForeignRegistry({ host: await serve(handler), name: 'app' }, null)
    await expect(registry.manifest('v1', signal)).rejects.toThrow(why)
    await registry.close()
  })

  it.each<[string, Handler]>([
    ['never answers', () => undefined],
    ['stops in the middle', (_request, response) => void response.writeHead(200).write('{')],
  ])('that %s is left after its time', async (_what, handler) => {
    const timeouts = { answerMs: 200, idleMs: 200 }
    const registry = new ForeignRegistry({ host: await serve(handler), name: 'app' }, null, timeouts)
    await expect(registry.manifest('v1', signal)).rejects.toThrow(/cannot be reached|stopped in the middle/)
    await registry.close()
  })

  it('that nobody serves is one clear line', async () => {
    const registry = new ForeignRegistry({ host: 'localhost:1', name: 'app' }, null)
    await expect(registry.manifest('v1', signal)).rejects.toThrow('the registry localhost:1 cannot be reached')
    await registry.close()
  })

  it.each([
    ['169.254.169.254', true],
    ['::ffff:169.254.1.1', true],
    ['fe80::1', true],
    ['febf::1', true],
    ['10.0.0.1', false],
    ['fec0::1', false],
    ['::1', false],
  ])('at %s is link-local: %s', (address, isSo) => {
    expect(isLinkLocal(address)).toBe(isSo)
  })

  it.each(['169.254.169.254', '[fe80::1]:5000'])('at %s is never asked', (host) => {
    expect(() => new ForeignRegistry({ host, name: 'app' }, null)).toThrow('link-local')
  })
})
