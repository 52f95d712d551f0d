import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServiceUnavailableError } from '../../errors.js'
import { call, head, RawConnection } from '../testing/raw.js'
import { serveFake, type Served } from '../testing/serve.js'

/** What the Go client sends with every create. */
const EMPTY = {
  image: {},
  limits: { bandwidth_limits: {}, cpu_limits: {}, disk_limits: {}, memory_limits: {}, pid_limits: {} },
}

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
const create = async (handle: string, spec: object = {}): Promise<void> => {
  expect((await ask('POST', '/containers', { handle, ...EMPTY, ...spec })).status).toBe(200)
}

describe("Garden's calls", () => {
  it('answers each success with a JSON value and a line end', async () => {
    const answer = await ask('GET', '/ping')
    expect(answer).toMatchObject({ status: 200, json: { api: 'croft-garden/1' } })
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.body.endsWith('}\n')).toBe(true)
  })

  it('announces its extensions, which a Garden client does not read', async () => {
    const { json } = await ask('GET', '/ping')
    expect(json['features']).toContain('pause')
    expect(json['features']).not.toContain('teleport')
  })

  it('tells the room there is', async () => {
    expect((await ask('GET', '/capacity')).json).toEqual({
      memory_in_bytes: 8 * 1024 ** 3,
      disk_in_bytes: 100 * 1024 ** 3,
      schedulable_disk_in_bytes: 80 * 1024 ** 3,
      max_containers: 512,
    })
  })

  it('creates, lists by properties, tells of and destroys a container', async () => {
    expect((await ask('GET', '/containers?owner=me')).json).toEqual({ Handles: [] })
    const created = await ask('POST', '/containers', { handle: 'whole', properties: { owner: 'me', b: '2' }, ...EMPTY })
    expect(created).toMatchObject({ status: 200, body: '{"Handle":"whole"}\n' })
    expect((await ask('GET', '/containers?owner=me&b=2&garden.state=all')).json).toEqual({ Handles: ['whole'] })
    expect((await ask('GET', '/containers?owner=me&owner=you')).json).toEqual({ Handles: ['whole'] })
    expect((await ask('GET', '/containers?owner=you')).json).toEqual({ Handles: [] })
    const info = await ask('GET', '/containers/whole/info')
    expect(info.json).toMatchObject({ State: 'active', Properties: { owner: 'me', b: '2' }, MappedPorts: [] })
    expect(await ask('DELETE', '/containers/whole')).toMatchObject({ status: 200, body: '{}\n' })
  })

  it('makes up a handle', async () => {
    const { json } = await ask('POST', '/containers', EMPTY)
    expect(json['Handle']).toMatch(/^[\w-]{36}$/)
  })

  it('stops, and reports state and limits', async () => {
    await create('limited', {
      limits: {
        memory_limits: { limit_in_bytes: 64 },
        cpu_limits: { limit_in_shares: 7 },
        disk_limits: { byte_hard: 9, scope: 1 },
      },
    })
    expect((await ask('GET', '/containers/limited/limits/memory')).body).toBe('{"limit_in_bytes":64}\n')
    expect((await ask('GET', '/containers/limited/limits/cpu')).json).toEqual({ weight: 0, limit_in_shares: 7 })
    expect((await ask('GET', '/containers/limited/limits/disk')).json).toMatchObject({ byte_hard: 9, scope: 1 })
    expect((await ask('GET', '/containers/limited/limits/bandwidth')).json).toEqual({ rate: 0, burst: 0 })
    expect((await ask('PUT', '/containers/limited/stop', { kill: true })).body).toBe('{}\n')
    expect((await ask('GET', '/containers/limited/info')).json).toMatchObject({ State: 'stopped' })
  })

  it('measures one and many, with the entitlement of its shares', async () => {
    await create('measured', { limits: { cpu_limits: { weight: 1024 } } })
    const { json } = await ask('GET', '/containers/measured/metrics')
    expect(json).toMatchObject({ CPUStat: { Usage: 0 }, PidStat: { Current: 1, Max: 0 }, NetworkStat: { RxBytes: 0 } })
    const bulk = await ask('GET', '/containers/bulk_metrics?handles=measured,nosuch')
    expect(bulk.json).toMatchObject({
      measured: { Metrics: { PidStat: { Current: 1 } }, Err: null },
      nosuch: { Err: { Type: 'ContainerNotFoundError', Handle: 'nosuch' } },
    })
    const later = (await ask('GET', '/containers/measured/metrics')).json as Record<string, number>
    expect(later['CPUEntitlement']).toBeGreaterThan(0)
  })

  it('maps ports and allows addresses', async () => {
    await create('net')
    const mapped = await ask('POST', '/containers/net/net/in', { handle: 'net', host_port: 8081, container_port: 80 })
    expect(mapped.json).toEqual({ host_port: 8081, container_port: 80 })
    const rule = { protocol: 1, networks: [{ start: '1.2.3.4' }], ports: [{ start: 80, end: 90 }], log: true }
    expect((await ask('POST', '/containers/net/net/out', rule)).body).toBe('{}\n')
    expect((await ask('POST', '/containers/net/net/out/bulk', [rule, rule])).body).toBe('{}\n')
    expect(served.backend.store.records.get('net')?.netOut.length).toBe(3)
  })

  it('keeps properties', async () => {
    await create('props', { properties: { a: '1' } })
    expect((await ask('PUT', '/containers/props/properties/b', { value: '2' })).body).toBe('{}\n')
    expect((await ask('GET', '/containers/props/properties/b')).body).toBe('{"value":"2"}\n')
    expect((await ask('GET', '/containers/props/properties')).json).toEqual({ a: '1', b: '2' })
    expect((await ask('DELETE', '/containers/props/properties/b')).body).toBe('{}\n')
    const gone = await ask('GET', '/containers/props/properties/b')
    expect(gone).toMatchObject({ status: 404, json: { Type: '', Message: 'property does not exist: b' } })
  })

  it('takes names apart before it unescapes them', async () => {
    await create('slash')
    await ask('PUT', '/containers/slash/properties/a%2Fb%20c', { value: 'x' })
    expect((await ask('GET', '/containers/slash/properties')).json).toEqual({ 'a/b c': 'x' })
  })

  it('sets the grace time from a bare number of nanoseconds', async () => {
    await create('grace', { grace_time: 5_000_000_000 })
    expect(served.backend.store.records.get('grace')?.graceTimeMs).toBe(5000)
    expect((await ask('PUT', '/containers/grace/grace_time', '250000000')).body).toBe('{}\n')
    expect(served.backend.store.records.get('grace')?.graceTimeMs).toBe(250)
    expect((await ask('GET', '/containers/grace/grace_time')).json).toEqual({ grace_time: 250_000_000 })
  })

  it('serves a second call on a connection that stays open', async () => {
    const connection = await RawConnection.open(address)
    connection.write(head('GET', '/capacity') + head('GET', '/containers?x=y'))
    connection.write(head('GET', '/capacity', { Connection: 'close' }))
    await connection.untilEnd()
    expect(connection.text.match(/HTTP\/1.1 200 OK/g)?.length).toBe(3)
  })
})

describe('what real Garden gets wrong', () => {
  it('defect 3: a grace time of 0 is never, not now', async () => {
    await create('forever', { grace_time: 1_000_000_000 })
    expect((await ask('PUT', '/containers/forever/grace_time', '0')).status).toBe(200)
    expect(served.backend.store.records.get('forever')?.graceTimeMs).toBe(0)
  })

  it.each([
    ['GET', '/info', undefined],
    ['GET', '/metrics', undefined],
    ['GET', '/properties', undefined],
    ['GET', '/properties/k', undefined],
    ['PUT', '/properties/k', { value: 'v' }],
    ['DELETE', '/properties/k', undefined],
    ['PUT', '/stop', { kill: true }],
    ['PUT', '/grace_time', 1],
    ['GET', '/limits/memory', undefined],
    ['GET', '/limits/cpu', undefined],
    ['GET', '/limits/disk', undefined],
    ['GET', '/limits/bandwidth', undefined],
    ['POST', '/net/in', {}],
    ['POST', '/net/out', {}],
    ['POST', '/net/out/bulk', []],
    ['GET', '/files?source=/', undefined],
    ['PUT', '/files?destination=/', ''],
    ['GET', '/processes', undefined],
    ['GET', '/limits', undefined],
    ['PATCH', '/limits', {}],
    ['GET', '', undefined],
    ['DELETE', '', undefined],
  ])('defect 6: %s %s of an unknown handle is 404 and typed', async (method, path, body) => {
    const answer = await ask(method, `/containers/nosuch${path}`, body)
    expect(answer.status).toBe(404)
    expect(answer.json).toMatchObject({
      Type: 'ContainerNotFoundError',
      Message: 'unknown handle: nosuch',
      Handle: 'nosuch',
      Code: 'container-not-found',
      Retryable: false,
    })
  })

  it('defect 7: each entry of a bulk answer that failed has its type', async () => {
    await create('there')
    served.backend.inject({ call: 'info', handle: 'there', error: new ServiceUnavailableError('too busy') })
    const { json } = await ask('GET', '/containers/bulk_info?handles=there,nosuch')
    expect(json).toMatchObject({
      there: { Err: { Type: 'ServiceUnavailableError', Message: 'too busy', Retryable: true } },
      nosuch: { Err: { Type: 'ContainerNotFoundError', Handle: 'nosuch' } },
    })
  })

  it.each([
    ['POST', '/containers', '{"handle":', 400, /^the body is not JSON/],
    ['POST', '/containers', { handle: 7 }, 400, 'container spec: handle must be a text'],
    ['POST', '/containers', { handle: 'taken' }, 409, "Handle 'taken' already in use"],
    ['GET', '/containers/taken/properties/no', undefined, 404, 'property does not exist: no'],
    ['POST', '/containers', { privileged: true }, 400, 'privileged container creation is disabled'],
    ['POST', '/containers', { rootfs: '/a', image: { uri: 'b' } }, 400, 'Cannot provide both Image.URI and RootFSPath'],
    ['POST', '/containers/taken/net/out', { protocol: 9 }, 400, 'invalid protocol: 9'],
    [
      'POST',
      '/containers/taken/net/out',
      { protocol: 3, ports: [{ start: 1 }] },
      400,
      'Ports cannot be specified for Protocol ICMP',
    ],
  ])('defect 8: %s %s %j is %i', async (method, path, body, status, message) => {
    await ask('POST', '/containers', { handle: 'taken', ...EMPTY })
    const answer = await ask(method, path, body)
    expect(answer.status).toBe(status)
    if (typeof message === 'string') expect(answer.json['Message']).toBe(message)
    else expect(answer.json['Message']).toMatch(message)
  })

  it('defect 8: names every wrong field of a spec at once', async () => {
    const { json } = await ask('POST', '/containers', {
      grace_time: -1,
      env: ['A=1', 'nonsense'],
      limits: { cpu_limits: { weight: 'much' } },
      bind_mounts: [{ src_path: 'relative', dst_path: '/x', mode: 5 }],
    })
    expect(Object.keys((json['Details'] as { Fields: object }).Fields)).toEqual([
      'grace_time',
      'bind_mounts[0].src_path',
      'bind_mounts[0].mode',
      'env[1]',
      'limits.cpu_limits.weight',
    ])
  })

  it.each(['bulk_info', 'bulk_metrics'])(
    'defect 9: %s without handles is 400, and with an empty list nothing',
    async (path) => {
      const answer = await ask('GET', `/containers/${path}`)
      expect(answer).toMatchObject({ status: 400, json: { Details: { Fields: { handles: 'is missing' } } } })
      expect(await ask('GET', `/containers/${path}?handles=`)).toMatchObject({ status: 200, body: '{}\n' })
    },
  )

  it('defect 10: a plus in the name of a property stays one', async () => {
    await create('plus')
    await ask('PUT', '/containers/plus/properties/a+b', { value: 'x' })
    expect((await ask('GET', '/containers/plus/properties')).json).toEqual({ 'a+b': 'x' })
    expect((await ask('GET', '/containers/plus/properties/a+b')).body).toBe('{"value":"x"}\n')
  })

  it('defect 15: a port of the host that is mapped already is a conflict, by type', async () => {
    await create('port')
    expect((await ask('POST', '/containers/port/net/in', { host_port: 8099 })).status).toBe(200)
    const clash = await ask('POST', '/containers/port/net/in', { host_port: 8099, container_port: 1 })
    expect(clash).toMatchObject({
      status: 409,
      json: { Code: 'already-in-use', Message: 'host port 8099 already in use' },
    })
  })

  it('defect 13: an unknown call and a wrong method are JSON, the latter with the right ones', async () => {
    const unknown = await ask('GET', '/nosuch')
    expect(unknown).toMatchObject({
      status: 404,
      json: { Code: 'unknown-route', Message: 'no such call: GET /nosuch' },
    })
    const wrong = await ask('POST', '/ping')
    expect(wrong).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' }, json: { Code: 'method-not-allowed' } })
  })

  it('defect 13: a form content type does not eat the body', async () => {
    await create('form')
    const answer = await ask('PUT', '/containers/form/properties/k', '{"value":"v"}', {
      'Content-Type': 'application/x-www-form-urlencoded',
    })
    expect(answer.status).toBe(200)
    expect((await ask('GET', '/containers/form/properties/k')).body).toBe('{"value":"v"}\n')
  })
})

describe('requests that are no good', () => {
  it('refuses a body that is too long, and says how long it may be', async () => {
    const small = await serveFake({ maxBodyBytes: 1000 })
    const answer = await call(small.address, 'POST', '/containers', { env: [`A=${'x'.repeat(200_000)}`] })
    expect(answer).toMatchObject({ status: 413, json: { Message: 'the body is longer than 1000 bytes' } })
    await small.close()
  })

  it('refuses a wrong escape in a path and bytes that are no HTTP, in JSON', async () => {
    expect(await ask('GET', '/containers/a%zz/info')).toMatchObject({ status: 400, json: { Code: 'invalid-path' } })
    const connection = await RawConnection.open(address)
    connection.write('nonsense\r\n\r\n')
    const answer = await connection.untilEnd()
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body)).toMatchObject({ Code: 'bad-request' })
  })

  it('refuses a handle that would hide behind a call', async () => {
    const answer = await ask('POST', '/containers', { handle: 'bulk_info' })
    expect(answer).toMatchObject({ status: 400, json: { Details: { Fields: { handle: 'is reserved: bulk_info' } } } })
  })

  it('tells an unforeseen failure without its stack', async () => {
    served.backend.inject({ call: 'capacity', error: new TypeError('oops') })
    const answer = await ask('GET', '/capacity')
    expect(answer).toMatchObject({ status: 500, json: { Message: 'oops', Code: 'internal' } })
    expect(answer.body).not.toContain('server.spec')
  })
})

describe("Croft's own calls", () => {
  it('finds one container, with and without telling of it', async () => {
    await create('one')
    expect((await ask('GET', '/containers/one')).json).toMatchObject({ Handle: 'one', Info: { State: 'active' } })
    expect(await ask('HEAD', '/containers/one')).toMatchObject({ status: 200, body: '' })
    expect(await ask('HEAD', '/containers/nosuch')).toMatchObject({ status: 404, body: '' })
  })

  it('destroys what may be missing', async () => {
    expect((await ask('DELETE', '/containers/nosuch?ignore_missing=true')).body).toBe('{}\n')
    expect((await ask('DELETE', '/containers/nosuch', undefined, { 'If-Exists': 'true' })).body).toBe('{}\n')
  })

  it('changes limits, keeping those that are not named', async () => {
    await create('live', { limits: { memory_limits: { limit_in_bytes: 64 }, pid_limits: { max: 5 } } })
    const answer = await ask('PATCH', '/containers/live/limits', { memory_limits: { limit_in_bytes: 0 } })
    expect(answer.body).toBe('{}\n')
    expect(served.backend.store.records.get('live')?.limits).toEqual({ memory: { limitBytes: 0 }, pids: { max: 5 } })
    const disk = await ask('PATCH', '/containers/live/limits', { disk_limits: { byte_hard: 1 } })
    expect(disk).toMatchObject({ status: 400, json: { Details: { Fields: { disk_limits: expect.anything() } } } })
  })

  it('freezes and thaws several containers, and tries a create', async () => {
    await create('cold')
    expect((await ask('PUT', '/containers/pause', { handles: ['cold'] })).body).toBe('{}\n')
    expect(served.backend.store.records.get('cold')?.isPaused).toBe(true)
    expect((await ask('PUT', '/containers/resume', { handles: ['cold'] })).body).toBe('{}\n')
    expect((await ask('PUT', '/containers/pause', {})).status).toBe(400)
    expect((await ask('POST', '/containers/check', { handle: 'fine' })).body).toBe('{}\n')
    expect((await ask('POST', '/containers/check', { handle: 'cold' })).status).toBe(409)
  })
})

describe('whoever holds containers', () => {
  it('hears of every call that names one, from its beginning to its end', async () => {
    const seen: string[] = []
    const watched = await serveFake({
      hold: (handle, name) => {
        seen.push(`begin ${name} ${handle}`)
        return () => seen.push(`end ${name} ${handle}`)
      },
    })
    await call(watched.address, 'POST', '/containers', { handle: 'h' })
    await call(watched.address, 'GET', '/containers/h/info')
    await call(watched.address, 'GET', '/containers')
    await call(watched.address, 'GET', '/containers/bulk_info?handles=h')
    await call(watched.address, 'GET', '/containers/nosuch/info')
    await watched.close()
    expect(seen).toEqual(['Create h', 'Info h', 'Info nosuch'].flatMap((one) => [`begin ${one}`, `end ${one}`]))
  })
})
