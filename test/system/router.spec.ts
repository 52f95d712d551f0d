import { Agent } from 'node:http'
import { connect } from 'node:net'
import { waitFor } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { idOf, routeOf } from './support/router-rig.js'
import {
  ask,
  crowd,
  FOUR,
  inFlight,
  ONE,
  PORT,
  rig,
  THREE,
  TWO,
  underLoad,
  upstream,
  type Answer,
  useRouter,
} from './support/use-router.js'

/** Requests through a real HAProxy to instances that come and go, and what is answered when none can. */

useRouter(21_080)

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
