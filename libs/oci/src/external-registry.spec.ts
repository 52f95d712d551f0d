import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { digestOf } from './digest.js'
import { ExternalRegistry } from './external-registry.js'
import { parseCredentials } from './registry-session.js'

const signal = new AbortController().signal
const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

interface Asked {
  line: string
  authorization: string | undefined
  body: string
}
type Handler = (asked: Asked, answer: ServerResponse, host: string) => void

/** A server that answers as told, and what it was asked. */
async function serve(handler: Handler): Promise<{ host: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer((request: IncomingMessage, answer) => {
    const { method, url, headers } = request
    const one = { line: `${method} ${url}`, authorization: headers.authorization, body: '' }
    request.on('data', (chunk: Buffer) => (one.body += chunk.toString()))
    request.on('end', () => {
      asked.push(one)
      handler(one, answer, headers.host ?? '')
    })
  })
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}
const open = (host: string, credentials = 'me:pass:word') =>
  new ExternalRegistry({
    url: `http://${host}/team`,
    credentials: parseCredentials(credentials),
    homeId: 'ABC',
    timeouts: { answerMs: 500, idleMs: 500 },
  })
const bytes = Buffer.from('a layer')
const blob = { digest: digestOf(bytes), size: bytes.length }

/** Takes every upload. */
const takes: Handler = ({ line }, answer) => {
  if (line.startsWith('POST')) answer.writeHead(202, { location: '/v2/team/abc/blobs/uploads/7?state=x' }).end()
  else answer.writeHead(201).end()
}

describe('an external registry', () => {
  it('gets blobs and manifests in the platform’s own repository', async () => {
    const { host, asked } = await serve(takes)
    const registry = open(host)
    expect(registry.address).toBe(`${host}/team/abc`)
    await registry.putBlob(blob, () => Readable.from([bytes], { objectMode: false }), signal)
    await registry.putManifest({ mediaType: 'a/b', bytes: Buffer.from('{}') }, 'image-1', signal)
    expect(asked.map(({ line }) => line)).toEqual([
      'POST /v2/team/abc/blobs/uploads/',
      `PUT /v2/team/abc/blobs/uploads/7?state=x&digest=${encodeURIComponent(blob.digest)}`,
      'PUT /v2/team/abc/manifests/image-1',
    ])
    expect(asked.map(({ body }) => body)).toEqual(['', 'a layer', '{}'])
    await registry.close()
  })

  it('is told name and password only when it asks, then at once, also with a colon in the password', async () => {
    const { host, asked } = await serve((one, answer, at) =>
      one.authorization === undefined
        ? answer.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
        : takes(one, answer, at),
    )
    const registry = open(host)
    await registry.putBlob(blob, () => bytes, signal)
    const basic = `Basic ${Buffer.from('me:pass:word').toString('base64')}`
    expect(asked.map(({ authorization }) => authorization)).toEqual([undefined, basic, basic])
    await registry.close()
  })

  it('with a token server is asked for a token that may push, and for another when it has expired', async () => {
    let good = 'one'
    const { host, asked } = await serve((one, answer, at) => {
      if (one.line.startsWith('GET /token')) return answer.end(JSON.stringify({ token: good }))
      if (one.authorization !== `Bearer ${good}`) {
        const challenge = `Bearer realm="http://${at}/token",service="s"`
        return answer.writeHead(401, { 'www-authenticate': challenge }).end()
      }
      return takes(one, answer, at)
    })
    const registry = open(host)
    await registry.putBlob(blob, () => bytes, signal)
    good = 'two'
    await registry.putBlob(blob, () => bytes, signal)
    const tokens = asked.filter(({ line }) => line.startsWith('GET /token'))
    expect(tokens).toHaveLength(2)
    expect(tokens[0]?.line).toContain(`scope=${encodeURIComponent('repository:team/abc:pull,push,delete')}`)
    await registry.close()
  })

  it('is checked by an upload that is begun and given up', async () => {
    const { host, asked } = await serve(takes)
    const registry = open(host)
    await registry.check(signal)
    expect(asked.map(({ line }) => line)).toEqual([
      'POST /v2/team/abc/blobs/uploads/',
      'DELETE /v2/team/abc/blobs/uploads/7?state=x',
    ])
    await registry.close()
  })

  it.each<[string, Handler, RegExp]>([
    [
      'lets nobody in',
      (_one, answer) => void answer.writeHead(401).end(),
      /does not let us use team\/abc: it refuses the credentials/,
    ],
    ['lets us only pull', (_one, answer) => void answer.writeHead(403).end(), /does not let us use team\/abc/],
    ['is broken', (_one, answer) => void answer.writeHead(503).end(), /answered 503/],
    ['never answers', () => undefined, /cannot be reached/],
    ['takes an upload nowhere', (_one, answer) => void answer.writeHead(202).end(), /gave an upload no location/],
    [
      'sends uploads to the metadata service',
      (_one, answer) => void answer.writeHead(202, { location: 'http://169.254.169.254/x' }).end(),
      /link-local/,
    ],
    [
      'sends uploads elsewhere without encryption',
      (_one, answer) => void answer.writeHead(202, { location: 'http://10.0.0.1/x' }).end(),
      /sends us to http:\/\/10\.0\.0\.1, where it may not/,
    ],
  ])('that %s is an error in one line', async (_what, handler, why) => {
    const { host } = await serve(handler)
    const registry = open(host)
    const failure = await registry.putBlob(blob, () => bytes, signal).catch((error: Error) => error.message)
    expect(failure).toMatch(why)
    expect(failure).not.toContain('\n')
    await registry.close()
  })

  it('says what it has, and does not mind what it cannot delete', async () => {
    const { host } = await serve(({ line }, answer) => {
      if (line.startsWith('DELETE')) return answer.writeHead(405).end()
      return line.includes('blobs')
        ? answer.writeHead(200, { 'content-length': '7' }).end()
        : answer.writeHead(404).end()
    })
    const registry = open(host)
    expect(await registry.sizeOf(blob.digest, signal)).toBe(7)
    expect(await registry.hasManifest(blob.digest, signal)).toBe(false)
    expect(await registry.removeManifest(blob.digest, signal)).toBe(false)
    await registry.close()
  })
})
