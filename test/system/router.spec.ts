import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { waitFor } from '@croft/kit'
import type { Route } from '@croft/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { endpointOf, idOf, killQuietly, routeOf, routerRig, Upstream, type RouterRig } from './support/router-rig.js'

const PORT = 21080
const [ONE, TWO, THREE, FOUR] = [21090, 21091, 21092, 21093]

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
}

function ask(
  host: string,
  path = '/',
  options: { method?: string; headers?: Record<string, string>; agent?: Agent; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        port: PORT,
        host: '127.0.0.1',
        path,
        method: options.method ?? 'GET',
        headers: { host: `${host}:${PORT}`, ...options.headers },
        ...(options.agent !== undefined && { agent: options.agent }),
        timeout: 30_000,
      },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      },
    )
    call.on('error', reject)
    call.end(options.body)
  })
}

/** Bytes in, bytes out, until the other side closes or nothing comes for `timeoutMs`. */
function raw(bytes: string, timeoutMs: number): Promise<{ text: string; isClosed: boolean }> {
  return new Promise((resolve) => {
    const socket = connect(PORT, '127.0.0.1', () => socket.write(bytes, 'latin1'))
    let text = ''
    socket.setTimeout(timeoutMs, () => {
      resolve({ text, isClosed: false })
      socket.destroy()
    })
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve({ text, isClosed: true }))
  })
}

/** A request that its instance has, and answers after `ms`. */
async function inFlight(host: string, ms: number): Promise<{ answer: Promise<Answer> }> {
  const answer = ask(host, `/slow/${ms}`)
  await waitFor(async () => (await ask(host)).headers['x-slow'] !== '0', {
    what: 'a request in flight',
    timeoutMs: 5_000,
  })
  return { answer }
}

/** Keep-alive requests on `connections` at once while `work` runs; every answer that is not a 200 is kept. */
async function underLoad(
  host: string,
  work: () => Promise<void>,
  options: { connections?: number; path?: string } = {},
): Promise<{ sent: number; failed: string[]; slowestMs: number; labels: Set<string> }> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections ?? 16 })
  const result = { sent: 0, failed: [] as string[], slowestMs: 0, labels: new Set<string>() }
  const load = { isOver: false }
  const client = async (): Promise<void> => {
    while (!load.isOver) {
      const started = performance.now()
      try {
        const answer = await ask(host, options.path ?? '/', { agent })
        if (answer.status === 200) result.labels.add(String(answer.headers['x-label']))
        else result.failed.push(`${answer.status} ${String(answer.headers['x-croft-error'])}`)
      } catch (error) {
        result.failed.push(String(error))
      }
      result.sent += 1
      result.slowestMs = Math.max(result.slowestMs, performance.now() - started)
    }
  }
  const clients = Array.from({ length: options.connections ?? 16 }, client)
  try {
    await work()
  } finally {
    load.isOver = true
    await Promise.all(clients)
    agent.destroy()
  }
  return result
}

/** An app with so many instances that its backend may need more slots than it has, which takes a reload. */
function crowd(name: string, count: number): Route {
  const endpoints = Array.from({ length: count }, (_, index) =>
    endpointOf(`127.0.1.${index + 1}:${ONE}`, `${name} ${index}`),
  )
  return routeOf(name, [], { endpoints })
}

let rig: RouterRig
const upstreams: Upstream[] = []
async function upstream(port: number, label: string): Promise<Upstream> {
  const one = await new Upstream(port, label).start()
  upstreams.push(one)
  return one
}

beforeAll(async () => {
  rig = await routerRig(PORT)
}, 30_000)
afterEach(() => {
  for (const one of upstreams.splice(0)) one.kill()
})
afterAll(async () => {
  await rig.close()
})

describe('router: requests find their app', () => {
  it('by host and by the longest path prefix, whatever the case, port and trailing dot', async () => {
    await upstream(ONE, 'shop')
    await upstream(TWO, 'shop-api')
    await rig.serve([
      routeOf('shop', [ONE]),
      routeOf('shop-api', [TWO], { host: 'shop.localhost', pathPrefix: '/api' }),
    ])
    expect((await ask('shop.localhost')).headers['x-label']).toBe('shop')
    expect((await ask('SHOP.localhost.', '/apix')).headers['x-label']).toBe('shop')
    expect((await ask('shop.localhost', '/api')).headers['x-label']).toBe('shop-api')
    expect((await ask('shop.localhost', '/api/items?a=1')).headers['x-label']).toBe('shop-api')
  })

  it('with headers that say who asked, and none that a client may not set', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    const forged = {
      'X-Forwarded-For': '6.6.6.6',
      'X-Real-IP': '6.6.6.6',
      X_Forwarded_For: '6.6.6.6',
      'X-Croft-Team': 'x',
    }
    const answer = await ask('shop.localhost', '/', { headers: { ...forged, Connection: 'close, X-Forwarded-For' } })
    const { headers } = JSON.parse(answer.text) as { headers: string[] }
    const pairs = new Map(headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1]]] : [])))
    expect(answer.text).not.toContain('6.6.6.6')
    expect(pairs.get('x-croft-team')).toBeUndefined()
    expect(pairs.get('x-forwarded-for')).toBe('127.0.0.1')
    expect(pairs.get('x-forwarded-proto')).toBe('http')
    expect(pairs.get('x-forwarded-port')).toBe(String(PORT))
    expect(pairs.get('x-forwarded-host')).toBe(`shop.localhost:${PORT}`)
    expect(pairs.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(pairs.get('connection')).toBeUndefined()
  })

  it('the platform itself answers on croft.<domain> and for /v2/, and no table can take these from it', async () => {
    await upstream(ONE, 'thief')
    await rig.serve([routeOf('thief', [ONE], { host: 'croft.localhost' }), routeOf('thief', [ONE])])
    expect(JSON.parse((await ask('croft.localhost', '/api/v1/apps')).text)).toMatchObject({ platform: true })
    expect(JSON.parse((await ask('localhost', '/v2/')).text)).toMatchObject({ url: '/v2/' })
    expect(JSON.parse((await ask('registry.localhost', '/v2/x/tags/list')).text)).toMatchObject({ platform: true })
    expect((await ask('localhost', '/v2x')).status).toBe(404)
    const upload = await ask('croft.localhost', '/big', { method: 'POST', body: 'x'.repeat(3_000_000) })
    expect(JSON.parse(upload.text)).toMatchObject({ bytes: 3_000_000 })
  })

  it('a WebSocket passes both ways, and outlives its instance leaving the table', async () => {
    await upstream(ONE, 'shop')
    await upstream(TWO, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    const socket = connect(PORT, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    socket.write(
      `GET /ws HTTP/1.1\r\nHost: shop.localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    await waitFor(() => text.includes('101'), { what: 'the upgrade', timeoutMs: 2_000 })
    await rig.serve([routeOf('shop', [TWO])])
    socket.write('still there')
    await waitFor(() => text.includes('still there'), { what: 'the echo', timeoutMs: 2_000 })
    expect(rig.controller.status?.busyInstances).toEqual([idOf(`instance ${ONE}`)])
    socket.destroy()
    await waitFor(() => rig.controller.status?.busyInstances.length === 0, { what: 'the drain', timeoutMs: 3_000 })
  })
})

describe('router: instances come and go', () => {
  it('5 swaps of all instances under keep-alive load fail no request and reload nothing', async () => {
    for (const [port, label] of [
      [ONE, 'old'],
      [TWO, 'old'],
      [THREE, 'new'],
      [FOUR, 'new'],
    ] as const) {
      await upstream(port, label)
    }
    await rig.serve([routeOf('shop', [ONE, TWO])])
    const starts = rig.haproxy.starts
    const result = await underLoad('shop.localhost', async () => {
      for (let round = 0; round < 5; round += 1) {
        const next = round % 2 === 0 ? [THREE, FOUR] : [ONE, TWO]
        await rig.serve([routeOf('shop', next)])
        const label = round % 2 === 0 ? 'new' : 'old'
        for (let count = 0; count < 8; count += 1) {
          expect((await ask('shop.localhost')).headers['x-label']).toBe(label)
        }
        await waitFor(() => rig.controller.status?.busyInstances.length === 0, { what: 'a drain', timeoutMs: 5_000 })
      }
    })
    expect(result.failed).toEqual([])
    expect(result.labels).toEqual(new Set(['old', 'new']))
    expect(rig.haproxy.starts).toBe(starts)
  })

  it('an instance that left is busy until its last answer is out, and the acknowledgement comes after that was said', async () => {
    await upstream(ONE, 'old')
    await upstream(TWO, 'new')
    await rig.serve([routeOf('shop', [ONE])])
    const slow = await inFlight('shop.localhost', 1000)
    rig.controller.reports = []
    await rig.serve([routeOf('shop', [TWO])])
    expect(rig.controller.reports.at(-1)?.busyInstances).toEqual([idOf(`instance ${ONE}`)])
    expect((await ask('shop.localhost')).headers['x-label']).toBe('new')
    expect((await slow.answer).headers['x-label']).toBe('old')
    await waitFor(() => rig.controller.status?.busyInstances.length === 0, { what: 'the drain', timeoutMs: 2_000 })
  })

  it('the only instance is killed and starts again at its address: no GET fails, with or without the controller noticing', async () => {
    let one = await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    const result = await underLoad('shop.localhost', async () => {
      for (const isNoticed of [false, true]) {
        one.kill()
        if (isNoticed) await rig.serve([routeOf('shop', [], { idleReason: 'starting' })])
        await new Promise((resolve) => setTimeout(resolve, 500))
        one = await upstream(ONE, 'shop')
        if (isNoticed) await rig.serve([routeOf('shop', [ONE])])
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
    })
    expect(result.failed).toEqual([])
    expect(result.slowestMs).toBeLessThan(3_000)
  })

  it('one of three is killed: no GET fails', async () => {
    await upstream(ONE, 'shop')
    await upstream(TWO, 'shop')
    const third = await upstream(THREE, 'shop')
    await rig.serve([routeOf('shop', [ONE, TWO, THREE])])
    const result = await underLoad('shop.localhost', async () => {
      await new Promise((resolve) => setTimeout(resolve, 200))
      third.kill()
      await new Promise((resolve) => setTimeout(resolve, 500))
    })
    expect(result.failed).toEqual([])
  })

  it('a request that may not be repeated is not: its killed instance is answered for with H13', async () => {
    await upstream(ONE, 'shop')
    await upstream(TWO, 'shop')
    await rig.serve([routeOf('shop', [ONE, TWO])])
    const answer = await ask('shop.localhost', '/close', {
      method: 'POST',
      body: 'x',
      agent: new Agent(),
    })
    expect([answer.status, answer.headers['x-croft-error']]).toEqual([502, 'H13'])
    expect(answer.text).toContain('shop')
  })

  it('an app with more instances than slots gets more by a reload that fails no request', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    const result = await underLoad('shop.localhost', async () => {
      await rig.serve([routeOf('shop', [ONE]), crowd('many', 9)])
    })
    expect(result.failed).toEqual([])
    expect(rig.haproxy.starts).toBe(1)
  })
})

describe('router: a reload', () => {
  it('in the middle of a hold: the request is answered when the instance comes', async () => {
    await rig.serve([routeOf('shop', [], { idleReason: 'starting' })])
    const held = [ask('shop.localhost'), ask('shop.localhost', '/held', { method: 'POST', body: 'x'.repeat(100_000) })]
    await rig.serve([routeOf('shop', [], { idleReason: 'starting' }), crowd('crowd-a', 33)])
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    const [get, post] = await Promise.all(held)
    expect([get?.status, post?.status]).toEqual([200, 200])
    expect(JSON.parse(post?.text ?? '')).toMatchObject({ bytes: 100_000, url: '/held' })
  }, 20_000)

  it('in the middle of a request: its instance is busy until it has answered, in whichever process', async () => {
    await upstream(ONE, 'old')
    await upstream(TWO, 'new')
    await rig.serve([routeOf('shop', [ONE])])
    const slow = await inFlight('shop.localhost', 1500)
    await rig.serve([routeOf('shop', [ONE]), crowd('crowd-b', 65)])
    await rig.serve([routeOf('shop', [TWO])])
    const busy = idOf(`instance ${ONE}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(rig.controller.status?.busyInstances).toEqual([busy])
    expect((await slow.answer).headers['x-label']).toBe('old')
    await waitFor(() => rig.controller.status?.busyInstances.length === 0, { what: 'the drain', timeoutMs: 3_000 })
  }, 20_000)
})

describe('router: what it answers when no app can', () => {
  it.each([
    ['scaled-to-zero', 'H14', 'croft ps:scale web=1 -a shop'],
    ['crashed', 'H10', 'croft logs -a shop'],
  ] as const)(
    'an app that is %s: 503 %s and the remedy',
    async (idleReason, code, remedy) => {
      await rig.serve([routeOf('shop', [], { idleReason })])
      const answer = await ask('shop.localhost')
      expect([answer.status, answer.headers['x-croft-error']]).toEqual([503, code])
      expect(answer.text).toContain(remedy)
    },
    15_000,
  )

  it('an app for which too many requests wait: those that came too late 503 H11 at once, the others an answer', async () => {
    await rig.serve([routeOf('shop', [], { idleReason: 'starting' })])
    const agent = new Agent({ maxSockets: 400 })
    const answers = Array.from({ length: 320 }, () => ask('shop.localhost', '/', { agent }))
    const late = new Set<Answer>()
    for (const answer of answers) void answer.then((one) => one.status === 503 && late.add(one))
    await waitFor(() => late.size >= 50, { what: 'refusals', timeoutMs: 5_000 })
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    const all = await Promise.all(answers)
    expect(new Set(all.map((one) => `${one.status} ${String(one.headers['x-croft-error'])}`))).toEqual(
      new Set(['200 undefined', '503 H11']),
    )
    expect(all.filter((one) => one.status === 200).length).toBeGreaterThanOrEqual(200)
  }, 20_000)

  it('an unknown host: 404, naming it', async () => {
    const answer = await ask('nobody.localhost')
    expect([answer.status, answer.headers['x-croft-error']]).toEqual([404, 'H31'])
    expect(answer.text).toContain('nobody.localhost')
  })

  it('an app cannot claim one of the router’s codes', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    expect((await ask('shop.localhost', '/forge')).headers['x-croft-error']).toBeUndefined()
  })
})

describe('router: when another part is away', () => {
  it('the controller: apps go on serving, the platform’s own host waits for it and then says H99', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    await rig.controller.close()
    const [app, platform] = await Promise.all([ask('shop.localhost'), ask('croft.localhost')])
    expect(app.status).toBe(200)
    expect([platform.status, platform.headers['x-croft-error']]).toEqual([503, 'H99'])
    const waiting = ask('croft.localhost', '/later')
    await rig.controller.open()
    expect((await waiting).status).toBe(200)
    await rig.serve([routeOf('shop', [ONE])])
  }, 20_000)

  it('its own control plane: HAProxy serves on, and the next one adopts it without a reload and says what still drains', async () => {
    await upstream(ONE, 'old')
    await upstream(TWO, 'new')
    await rig.serve([routeOf('shop', [ONE])])
    const slow = await inFlight('shop.localhost', 2500)
    const result = await underLoad('shop.localhost', async () => {
      await rig.stopRouter()
      rig.controller.serve([routeOf('shop', [TWO])])
      rig.controller.reports = []
      await rig.startRouter()
      await waitFor(
        () =>
          rig.controller.status?.appliedRevision === rig.controller.acknowledged && rig.controller.reports.length > 0,
        {
          what: 'a report',
          timeoutMs: 5_000,
        },
      )
      expect(rig.controller.reports[0]?.busyInstances).toContain(idOf(`instance ${ONE}`))
    })
    expect(result.failed).toEqual([])
    expect((await ask('shop.localhost')).headers['x-label']).toBe('new')
    expect((await slow.answer).headers['x-label']).toBe('old')
    expect(rig.haproxy.starts).toBe(1)
  }, 20_000)

  it('control plane and controller both: the new control plane serves the table it kept', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    await rig.stopRouter()
    await rig.controller.close()
    await rig.startRouter()
    expect((await ask('shop.localhost')).status).toBe(200)
    await rig.controller.open()
  })

  it('HAProxy killed: it is back with the same table from its files', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    killQuietly(rig.haproxy.pid, 'SIGKILL')
    const started = performance.now()
    await waitFor(async () => (await ask('shop.localhost').catch(() => null))?.status === 200, {
      what: 'the app',
      timeoutMs: 5_000,
    })
    expect(performance.now() - started).toBeLessThan(2_000)
    await rig.serve([routeOf('shop', [ONE])])
  }, 20_000)
})

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
