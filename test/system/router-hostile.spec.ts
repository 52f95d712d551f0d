import { beforeAll, describe, expect, it } from 'vitest'
import { routeOf } from './support/router-rig.js'
import { ONE, raw, rig, upstream, useRouter } from './support/use-router.js'

/** Requests that no app may see. */

useRouter(21_120)

describe('router: hostile requests', () => {
  const HOST = 'Host: shop.localhost\r\n'
  beforeAll(async () => {
    await rig.serve([routeOf('shop', [ONE])])
  })

  it.each([
    ['two hosts', `GET / HTTP/1.1\r\n${HOST}Host: admin.localhost\r\n\r\n`],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['no host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
    ['a list of hosts', 'GET / HTTP/1.1\r\nHost: shop.localhost, admin\r\n\r\n'],
    ['a host with user information', 'GET / HTTP/1.1\r\nHost: a@shop.localhost\r\n\r\n'],
    ['a host with a path', 'GET / HTTP/1.1\r\nHost: shop.localhost/../admin\r\n\r\n'],
    ['an empty host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
    ['a port that is none', 'GET / HTTP/1.1\r\nHost: shop.localhost:80x\r\n\r\n'],
    ['an absolute address of another host', `GET http://admin.localhost/ HTTP/1.1\r\n${HOST}\r\n`],
    ['another scheme', `GET ftp://shop.localhost/ HTTP/1.1\r\n${HOST}\r\n`],
    ['an encoding other than chunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    [
      'two encodings',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
    ],
    ['chunks in HTTP/1.0', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`],
    ['a space before the colon', `GET / HTTP/1.1\r\n${HOST}X-A : 1\r\n\r\n`],
    ['a NUL in a value', `GET / HTTP/1.1\r\n${HOST}X-A: a\0b\r\n\r\n`],
    ['an unknown expectation', `POST / HTTP/1.1\r\n${HOST}Expect: junk\r\nContent-Length: 0\r\n\r\n`],
    ['CONNECT', `CONNECT shop.localhost:80 HTTP/1.1\r\n${HOST}\r\n`],
    ['TRACE', `TRACE / HTTP/1.1\r\n${HOST}\r\n`],
    ['a method nobody knows', `GRAB / HTTP/1.1\r\n${HOST}\r\n`],
    ['HTTP/0.9', 'GET /\r\n'],
    ['HTTP/2 without being asked', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['more header lines than a request needs', `GET / HTTP/1.1\r\n${HOST}${'X-A: 1\r\n'.repeat(200)}\r\n`],
  ])('%s: refused, and the connection closed', async (_what, bytes) => {
    await upstream(ONE, 'shop')
    const { text, isClosed } = await raw(bytes, 2_000)
    expect(text).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(text).not.toContain('x-label')
    expect(isClosed).toBe(true)
  })

  it.each([
    [
      'length and chunks: the smuggled request stays a body',
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n3f\r\n${`GET /smuggled HTTP/1.1\r\n${HOST}X: ${'x'.repeat(12)}\r\n\r\n`.padEnd(63, 'x').slice(0, 63)}\r\n0\r\n\r\n`,
    ],
    ['the same host twice', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
    [
      'an upgrade to HTTP/2',
      `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    ],
    ['an absolute address of the same host', `GET http://shop.localhost/a HTTP/1.1\r\n${HOST}\r\n`],
  ])('%s: made harmless', async (_what, bytes) => {
    await upstream(ONE, 'shop')
    const { text } = await raw(bytes, 500)
    expect(text.match(/x-label/g)?.length ?? 0).toBeLessThanOrEqual(1)
    expect(text).not.toContain('"url":"/smuggled"')
    expect(text).not.toMatch(/upgrade|http2-settings|http:\/\/shop/i)
  })
})
