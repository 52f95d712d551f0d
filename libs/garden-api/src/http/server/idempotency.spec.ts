import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeBackend } from '../../fake/index.js'
import { call, head, RawConnection } from '../testing/raw.js'
import { serveFake, type Served } from '../testing/serve.js'

let served: Served
beforeAll(async () => {
  served = await serveFake()
  await ask('POST', '/containers', { handle: 'c' })
})
afterAll(async () => {
  await served.close()
})
const ask = async (method: string, path: string, body?: unknown, key?: string, address = served.address) =>
  await call(address, method, path, body, key === undefined ? {} : { 'Idempotency-Key': key })

describe('an idempotency key', () => {
  it('on a create gives the same container again, however often and at once', async () => {
    const spec = { properties: { owner: 'a' }, env: ['A=1'] }
    const answers = await Promise.all([1, 2, 3].map(async () => await ask('POST', '/containers', spec, 'k1')))
    expect(new Set(answers.map((answer) => answer.json['Handle'])).size).toBe(1)
    const reordered = await ask('POST', '/containers', { env: ['A=1'], properties: { owner: 'a' } }, 'k1')
    expect(reordered.json).toEqual(answers[0]?.json)
  })

  it('on a create with another spec is a conflict', async () => {
    await ask('POST', '/containers', { env: ['A=1'] }, 'k2')
    const other = await ask('POST', '/containers', { env: ['A=2'] }, 'k2')
    expect(other).toMatchObject({ status: 409, json: { Code: 'idempotency-conflict' } })
  })

  it('on a create outlives the server, and ends with its container', async () => {
    const first = await ask('POST', '/containers', {}, 'k3')
    const next = await serveFake({ fake: new FakeBackend({ store: served.backend.store }) })
    const again = await ask('POST', '/containers', {}, 'k3', next.address)
    expect(again.json).toEqual(first.json)
    await ask('DELETE', `/containers/${String(first.json['Handle'])}`, undefined, undefined, next.address)
    const other = await ask('POST', '/containers', { env: ['A=2'] }, 'k3', next.address)
    expect(other.status).toBe(200)
    await next.close()
  })

  it('is seen and set by no client', async () => {
    const { json } = await ask('POST', '/containers', { properties: { a: 'b' } }, 'k4')
    const path = `/containers/${String(json['Handle'])}`
    expect((await ask('GET', `${path}/properties`)).json).toEqual({ a: 'b' })
    expect((await ask('GET', `${path}/info`)).json['Properties']).toEqual({ a: 'b' })
    expect((await ask('GET', `/containers/bulk_info?handles=${String(json['Handle'])}`)).body).not.toContain(
      'croft.wire',
    )
    expect((await ask('GET', `${path}/properties/croft.wire.create-key`)).status).toBe(404)
    expect((await ask('PUT', `${path}/properties/croft.wire.create-key`, { value: 'x' })).status).toBe(400)
    expect((await ask('DELETE', `${path}/properties/croft.wire.create-key`)).status).toBe(400)
    expect((await ask('POST', '/containers', { properties: { 'croft.wire.x': 'y' } })).status).toBe(400)
    expect((await ask('GET', '/containers?croft.wire.create-key=x')).status).toBe(400)
  })

  it('on net/in maps one port, and with another mapping is a conflict', async () => {
    const first = await ask('POST', '/containers/c/net/in', { container_port: 80 }, 'n1')
    const again = await ask('POST', '/containers/c/net/in', { container_port: 80, host_port: 0 }, 'n1')
    expect(again.json).toEqual(first.json)
    expect(served.backend.store.records.get('c')?.mappedPorts.length).toBe(1)
    expect((await ask('POST', '/containers/c/net/in', { container_port: 81 }, 'n1')).status).toBe(409)
  })

  it.each([{}, { id: 'given' }])(
    'on a run of %j starts one process, which the second joins from its beginning',
    async (id) => {
      const key = `r-${JSON.stringify(id).length}`
      const first = await runToEnd({ path: 'echo', args: ['once'], ...id }, key)
      const again = await runToEnd({ path: 'echo', args: ['once'], ...id }, key)
      expect(first.exit).toMatchObject({ exit_status: 0 })
      expect(again.exit).toMatchObject({ process_id: first.exit['process_id'], exit_status: 0 })
      expect([first.stdout, again.stdout]).toEqual(['once\n', 'once\n'])
      const other = await ask('POST', '/containers/c/processes', { path: 'echo', args: ['twice'], ...id }, key)
      expect(other).toMatchObject({ status: 409, json: { Code: 'idempotency-conflict' } })
    },
  )

  it('that is no key is refused', async () => {
    expect((await ask('POST', '/containers', {}, 'a b')).status).toBe(400)
  })
})

async function runToEnd(spec: object, key: string): Promise<{ exit: Record<string, unknown>; stdout: string }> {
  const control = await RawConnection.open(served.address)
  const body = JSON.stringify(spec)
  const headers = { 'Content-Length': body.length, 'Idempotency-Key': key }
  control.write(head('POST', '/containers/c/processes', headers) + body)
  const first = await control.payload(() => true)
  const stdout = await RawConnection.open(served.address)
  const path = `/containers/c/processes/${String(first['process_id'])}/attaches/${String(first['stream_id'])}/stdout`
  stdout.write(head('GET', path))
  const exit = await control.payload((payload) => 'exit_status' in payload)
  const { body: text } = await stdout.untilEnd()
  control.close()
  stdout.close()
  return { exit, stdout: text }
}
