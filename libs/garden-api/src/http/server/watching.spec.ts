import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeClock, silentLogger, waitFor } from '@croft/kit'
import { FakeBackend } from '../../fake/index.js'
import { Reaper } from '../../reaper/reaper.js'
import { openAnswer } from '../testing/lines.js'
import { call } from '../testing/raw.js'
import { serveFake, type Served } from '../testing/serve.js'

let served: Served
let address: string
beforeAll(async () => {
  served = await serveFake()
  address = served.address
})
afterAll(async () => {
  await served.close()
})

const ask = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  await call(address, method, path, body, headers)
const position = async (): Promise<{ boot: string; version: number }> =>
  (await ask('GET', '/events/position')).json as unknown as { boot: string; version: number }

describe('the stream of events', () => {
  it('is announced, and tells what happens from now on, one event a line', async () => {
    expect((await ask('GET', '/ping')).json['features']).toEqual(
      expect.arrayContaining(['events', 'lease', 'metrics-stream']),
    )
    await ask('POST', '/containers', { handle: 'before' })
    const stream = await openAnswer(address, '/events')
    expect(stream.headers['content-type']).toBe('application/x-ndjson')
    await ask('POST', '/containers', { handle: 'a' })
    await ask('PUT', '/containers/a/stop', { kill: true })
    await ask('DELETE', '/containers/a')
    expect(await stream.until(3)).toMatchObject([
      { kind: 'created', handle: 'a' },
      { kind: 'stopped', handle: 'a' },
      { kind: 'destroyed', handle: 'a', reason: 'asked' },
    ])
    stream.close()
  })

  it('goes on after a position, of the containers asked for', async () => {
    const { boot, version } = await position()
    for (const handle of ['b1', 'b2', 'b3']) await ask('POST', '/containers', { handle })
    const stream = await openAnswer(address, `/events?boot=${boot}&since=${version}&handles=b1,b3`)
    expect((await stream.until(2)).map((event) => [event['handle'], event['version']])).toEqual([
      ['b1', version + 1],
      ['b3', version + 3],
    ])
    stream.close()
  })

  it('is server-sent events for whoever accepts them, and goes on from the last one they got', async () => {
    const sse = { accept: 'text/event-stream' }
    const first = await openAnswer(address, '/events', sse)
    expect(first.headers['content-type']).toBe('text/event-stream')
    await ask('POST', '/containers', { handle: 'c1' })
    await waitFor(() => first.text().endsWith('\n\n'), { what: 'an event', timeoutMs: 5_000 })
    const [id = '', event, data = ''] = first.text().split('\n')
    expect(event).toBe('event: created')
    expect(JSON.parse(data.replace('data: ', ''))).toMatchObject({ handle: 'c1' })
    first.close()
    await ask('POST', '/containers', { handle: 'c2' })
    const second = await openAnswer(address, '/events', { ...sse, 'last-event-id': id.replace('id: ', '') })
    await waitFor(() => second.text().includes('c2'), { what: 'the event since', timeoutMs: 5_000 })
    expect(second.text()).not.toContain('"handle":"c1"')
    second.close()
  })

  it.each([
    ['of another boot', () => '?boot=other&since=1', 410, 'events-gone'],
    ['that never was', async () => `?boot=${(await position()).boot}&since=999999`, 410, 'events-gone'],
    ['without a boot', () => '?since=1', 400, 'invalid-spec'],
    ['without a version', async () => `?boot=${(await position()).boot}`, 400, 'invalid-spec'],
    ['that is no number', () => '?boot=x&since=y', 400, 'invalid-spec'],
  ])('after a position %s is refused', async (_what, query, status, code) => {
    const answer = await ask('GET', `/events${await query()}`)
    expect(answer).toMatchObject({ status, json: { Code: code } })
  })

  it('tells a reader that was too slow that it missed some, as the last line', async () => {
    const small = await serveFake({ fake: new FakeBackend({ keptEvents: 10 }) })
    const stream = await openAnswer(small.address, '/events')
    stream.pause()
    const container = await small.backend.create({ handle: 'busy', env: ['A=1'] })
    // far more than the connection holds
    for (let i = 0; i < 20_000; i += 1) await container.changeLimits({ cpu: { weight: 1 } })
    stream.resume()
    await waitFor(() => stream.isEnded(), { what: 'the stream to end', timeoutMs: 5_000 })
    expect(stream.lines().at(-1)).toMatchObject({ error: { Code: 'events-gone' } })
    await small.close()
  })

  it('ends when the server closes', async () => {
    const closing = await serveFake()
    const stream = await openAnswer(closing.address, '/events')
    await closing.close()
    await waitFor(() => stream.isEnded(), { what: 'the end', timeoutMs: 5_000 })
    expect(stream.lines()).toEqual([])
  })
})

describe('answers that tell of containers', () => {
  it.each(['/containers', '/containers/p', '/containers/p/info', '/containers/bulk_info?handles=p'])(
    'say where among the events they stand: %s',
    async (path) => {
      await ask('POST', '/containers', { handle: 'p' })
      const { boot, version } = await position()
      expect((await ask('GET', path)).headers['garden-position']).toBe(`${boot}/${version}`)
    },
  )
})

describe('a lease', () => {
  it('is set for a time, told and ended', async () => {
    await ask('POST', '/containers', { handle: 'l' })
    expect((await ask('GET', '/containers/l/lease')).json).toEqual({ lease: null })
    const set = await ask('PUT', '/containers/l/lease', { holder: 'controller', ttl: 60_000_000_000 })
    expect(set.json).toMatchObject({ lease: { holder: 'controller' } })
    expect((await ask('GET', '/containers/l/lease')).json).toEqual(set.json)
    expect((await ask('DELETE', '/containers/l/lease')).json).toEqual({ lease: null })
    expect((await ask('PUT', '/containers/nosuch/lease', { holder: 'c', ttl: 1 })).status).toBe(404)
    expect((await ask('PUT', '/containers/l/lease', { ttl: 1 })).json).toMatchObject({
      Details: { Fields: { holder: 'is missing' } },
    })
  })
})

describe('a server with a reaper', () => {
  it('keeps a container while a call names it, and destroys it when its grace time is over', async () => {
    const clock = new FakeClock()
    const backend = new FakeBackend({ clock })
    const reaper = new Reaper({ backend, clock, logger: silentLogger })
    const reaped = await serveFake({ fake: backend, hold: (handle) => reaper.hold(handle) })
    const handles = async (): Promise<unknown> => (await call(reaped.address, 'GET', '/containers')).json['Handles']
    await call(reaped.address, 'POST', '/containers', { handle: 'idle', grace_time: 5_000_000_000 })
    backend.inject({ call: 'info', delayMs: 20_000 })
    await clock.advance(4_000)
    const info = call(reaped.address, 'GET', '/containers/idle/info')
    await waitFor(() => backend.calls.includes('info idle'), { what: 'the call', timeoutMs: 5_000 })
    await clock.advance(10_000)
    expect(await handles()).toEqual(['idle'])
    await clock.advance(10_000)
    await info
    await clock.advance(4_999)
    expect(await handles()).toEqual(['idle'])
    await clock.advance(1)
    expect(await handles()).toEqual([])
    await reaped.close()
  })
})

describe('the stream of metrics', () => {
  it('tells those of the asked containers each interval, and what is wrong with one', async () => {
    await ask('POST', '/containers', { handle: 'm' })
    const stream = await openAnswer(address, '/metrics/stream?handles=m,nosuch&interval_ms=100')
    const lines = await stream.until(3)
    stream.close()
    expect(lines[0]).toMatchObject({
      metrics: {
        m: { Metrics: { PidStat: { Current: 1 } }, Err: null },
        nosuch: { Err: { Type: 'ContainerNotFoundError' } },
      },
    })
  })

  it('is of all containers when none are named', async () => {
    const stream = await openAnswer(address, '/metrics/stream')
    const [first] = await stream.until(1)
    stream.close()
    const listed = (await ask('GET', '/containers')).json['Handles'] as string[]
    expect(Object.keys(first?.['metrics'] as object).toSorted()).toEqual(listed.toSorted())
  })

  it.each(['99', 'often', '1.5', '99999999'])('refuses an interval of %s ms', async (interval) => {
    expect((await ask('GET', `/metrics/stream?interval_ms=${interval}`)).status).toBe(400)
  })
})
