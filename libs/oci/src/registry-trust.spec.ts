import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { makeCertificates } from '@croft/kit/testing/certificates'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from './digest.js'
import { ExternalRegistry } from './external-registry.js'

/** A registry over TLS on this machine whose certificate a private authority has signed. */

const authority = makeCertificates()
const another = makeCertificates('another')
const bytes = Buffer.from('a layer')
const blob = { digest: digestOf(bytes), size: bytes.length }
const signal = new AbortController().signal
let server: Server
let asked: string[]
beforeEach(async () => {
  asked = []
  server = createServer(authority.server, (request, answer) => {
    asked.push(`${request.method}`)
    request.resume().on('end', () => {
      if (request.method === 'POST') answer.writeHead(202, { location: '/v2/team/abc/blobs/uploads/7' }).end()
      else if (request.method === 'PUT') answer.writeHead(201).end()
      else answer.end(bytes)
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
})
afterEach(() => server.close().closeAllConnections())

const open = (certificates?: () => Promise<string>, host = '127.0.0.1'): ExternalRegistry =>
  new ExternalRegistry({
    url: `https://${host}:${(server.address() as AddressInfo).port}/team`,
    credentials: null,
    homeId: 'abc',
    timeouts: { answerMs: 2_000, idleMs: 2_000 },
    certificates,
  })
const failureOf = (upload: Promise<void>): Promise<string> =>
  upload.then(
    () => 'none',
    (error: Error) => error.message,
  )

describe('a registry whose certificate a private authority signed', () => {
  it.each(['127.0.0.1', 'localhost'])('is spoken to where that is trusted, as %s', async (host) => {
    const registry = open(() => Promise.resolve(`# of the department\n${another.ca}${authority.ca}`), host)
    await registry.putBlob(blob, () => bytes, signal)
    expect(Buffer.concat(await (await registry.blob(blob, signal)).toArray())).toEqual(bytes)
    expect(asked).toEqual(['POST', 'PUT', 'GET'])
    await registry.close()
  })

  it.each<[string, (() => Promise<string>) | undefined]>([
    ['nothing is said', undefined],
    ['nothing is set', () => Promise.resolve('')],
    ['another authority is trusted', () => Promise.resolve(another.ca)],
    ['one of the same name is trusted', () => Promise.resolve(makeCertificates().ca)],
  ])('is told nothing, and the remedy is, where %s', async (_what, certificates) => {
    const registry = open(certificates)
    const failure = await failureOf(registry.putBlob(blob, () => bytes, signal))
    expect(failure).toMatch(/^the certificate of 127\.0\.0\.1:\d+ is not trusted: .*croft settings:set ca=FILE/)
    expect(asked).toEqual([])
    await registry.close()
  })

  it('is spoken to from the next connection on when it is trusted meanwhile', async () => {
    let ca = another.ca
    const registry = open(() => Promise.resolve(ca))
    expect(await failureOf(registry.putBlob(blob, () => bytes, signal))).toContain('is not trusted')
    ca += authority.ca
    expect(await failureOf(registry.putBlob(blob, () => bytes, signal))).toBe('none')
    await registry.close()
  })

  it('cannot be reached where it cannot be found out whom to trust', async () => {
    const registry = open(() => Promise.reject(new Error('no settings')))
    expect(await failureOf(registry.putBlob(blob, () => bytes, signal))).toMatch(/cannot be reached: .*no settings/)
    await registry.close()
  })
})
