import { request } from 'node:http'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { RawConnection } from '../testing/raw.js'
import { serveFake, type Served } from '../testing/serve.js'
import { ROUTES } from './routes.js'

/** Whatever is sent, nobody is told of a failure of ours, and the server serves on. */

const LONG = process.env['CROFT_TEST_LONG'] === '1'
const RUNS = LONG ? 3_000 : 150
const TIMEOUT_MS = LONG ? 120_000 : 20_000

let served: Served
beforeAll(async () => {
  served = await serveFake()
})
afterEach(async () => {
  expect((await ask('GET', '/ping', '')).status).toBe(200)
})
afterAll(async () => {
  await served.close()
})

/** Status and the beginning of the body; a stream is let go of at its first bytes. */
async function ask(method: string, path: string, body: string): Promise<{ status: number; body: string }> {
  return await new Promise((resolve, reject) => {
    const req = request({ socketPath: served.address.slice('unix:'.length), method, path, agent: false })
    req.on('error', reject).on('response', (res) => {
      const parts: Buffer[] = []
      const settle = (): void => {
        resolve({ status: res.statusCode ?? 0, body: Buffer.concat(parts).toString() })
        req.on('error', () => undefined).destroy()
      }
      const isStream = res.headers['content-length'] === undefined
      if (isStream) settle()
      res
        .on('error', () => undefined)
        .on('data', (part: Buffer) => parts.push(part))
        .on('end', settle)
    })
    req.end(body)
  })
}

const NAMES =
  'handle,handles,image,uri,rootfs,limits,cpu_limits,weight,memory_limits,limit_in_bytes,bind_mounts,src_path,dst_path,mode,env,' +
  'properties,value,netin,host_port,netout_rules,protocol,ports,networks,start,path,args,tty,user,rlimits,kill,signal,holder,ttl,grace_time'
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<unknown>(
      null,
      true,
      -1,
      0,
      80,
      1.5,
      2 ** 70,
      '',
      'x',
      'echo',
      'c',
      '/a',
      'A=b',
      '1.2.3.4',
      '\0',
      [],
      {},
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES.split(',')), tie('value'), { maxKeys: 5 }),
  ),
})).value
const body = fc.oneof(
  { weight: 6, arbitrary: json.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: fc.string() },
  { weight: 1, arbitrary: fc.constantFrom('', '{', '[]', '"', 'null', '9'.repeat(400), '['.repeat(5000)) },
)
const part = fc.oneof(
  fc.constantFrom(
    'c',
    'nosuch',
    'p',
    '1',
    '..',
    '%2e%2e%2f',
    '%00',
    '%zz',
    '+',
    'a%2Fb',
    '__proto__',
    'constructor',
    '%F0%9F%98%80',
  ),
  fc.stringMatching(/^[!-~]{1,12}$/).map((text) => text.replace(/[/?#%]/g, '_')),
)
const query = fc.oneof(
  fc.constant(''),
  fc.constantFrom(
    '?handles=a,b',
    '?handles',
    '?source=/&user=x',
    '?destination=/x',
    '?from=-1',
    '?tail=9e9',
    '?streams=a',
    '?stream=x',
    '?&&=&',
    '?%zz=%',
  ),
)
/** Calls that answer without an end. */
const ENDLESS = new Set(['Events', 'MetricsStream'])

describe('a server in the hands of strangers', { timeout: TIMEOUT_MS }, () => {
  it('answers any body on any call, and never by a failure of its own', async () => {
    const routes = ROUTES.filter((route) => !ENDLESS.has(route.name))
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...routes),
        part,
        part,
        part,
        query,
        body,
        async (route, a, b, c, asked, sent) => {
          await ask('POST', '/containers', '{"handle":"c"}')
          const parts = [a, b, c]
          const path = route.path.replace(/:\w+/g, () => parts.shift() ?? 'x') + asked
          const answer = await ask(route.method, path, route.method === 'GET' ? '' : sent)
          if (answer.status < 400) return
          expect(answer.status, `${route.name} ${path} ${sent}: ${answer.body}`).toBeLessThan(500)
          expect(JSON.parse(answer.body)).toMatchObject({
            Message: expect.stringMatching(/./),
            Code: expect.stringMatching(/./),
          })
        },
      ),
      { numRuns: RUNS },
    )
  })

  it('survives bytes that are no HTTP', async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 200 }).map((data) => Buffer.from(data)),
      fc.constantFrom(
        Buffer.from('GET / HTTP/9.9\r\n\r\n'),
        Buffer.from(
          'POST /containers HTTP/1.1\r\nHost: api\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET',
        ),
        Buffer.from(
          'POST /containers HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n',
        ),
        Buffer.from(`GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: api\r\n\r\n`),
        Buffer.from(
          'PUT /containers/c/files?destination=/x HTTP/1.1\r\nHost: api\r\nContent-Length: 99999999\r\n\r\nshort',
        ),
      ),
    )
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (sent, isRude) => {
        const connection = await RawConnection.open(served.address)
        connection.write(sent)
        if (isRude) connection.socket.destroy()
        else connection.socket.end()
        await new Promise((resolve) => setImmediate(resolve))
        connection.close()
      }),
      { numRuns: RUNS },
    )
  })

  it('survives any frames on the stream of a process, which lives on', async () => {
    await ask('POST', '/containers', '{"handle":"c"}')
    const frame = fc.oneof(
      json.map((value) => `${JSON.stringify(value)}\n`),
      fc.string(),
      fc.constant('\n{"signal":\n'),
    )
    const id = 'steady'
    const container = await served.backend.lookup('c')
    await container.run({ path: 'spin', id })
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 5 }), async (frames) => {
        const connection = await RawConnection.open(served.address)
        connection.write(`GET /containers/c/processes/${id} HTTP/1.1\r\nHost: api\r\n\r\n`)
        await connection.payload(() => true)
        // 0 and 1 are signals, which it would not survive
        connection.write(frames.join('').replace(/"signal":[01]\b/g, '"signal":7'))
        connection.write('{"process_id":"","tty":{"window_size":{"columns":1,"rows":1}}}\n')
        connection.close()
      }),
      { numRuns: LONG ? 500 : 40 },
    )
    expect((await container.processes()).find((process) => process.id === id)?.state).toBe('running')
  })
})
