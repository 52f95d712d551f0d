import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { waitFor } from '@croft/kit'
import { FakeBackend, type FakeProgram } from '../../fake/index.js'
import { call, head, RawConnection } from '../testing/raw.js'
import { serveFake, type Served } from '../testing/serve.js'

const MEGABYTE = 1024 * 1024

/** Programs that ordinary fakes lack. */
const programs: Record<string, FakeProgram> = {
  /** So many bytes, in pieces. */
  flood: async (context) => {
    const total = Number(context.args[0])
    const piece = Buffer.alloc(64 * 1024, 'x')
    for (let sent = 0; sent < total; sent += piece.length)
      await context.write('stdout', piece.subarray(0, Math.min(piece.length, total - sent)))
    return 0
  },
  /** Ends at once, and leaves a child that keeps writing to the same stream. */
  'leave-child': async (context) => {
    await context.write('stdout', 'parent\n')
    void (async () => {
      while (!context.signal.aborted) {
        await delay(5)
        await context.write('stdout', 'child\n')
      }
    })()
    return 3
  },
  /** Says how its input ended, and stays. */
  'input-watcher': async (context) => {
    let size = 0
    for (let piece = await context.read(); piece !== null; piece = await context.read()) size += piece.length
    await context.write('stdout', `input ended after ${size}\n`)
    return await new Promise((resolve) => context.signal.addEventListener('abort', () => resolve(0)))
  },
}

let served: Served
let address: string
const opened: RawConnection[] = []
const holds: string[] = []
beforeAll(async () => {
  served = await serveFake({
    fake: new FakeBackend({ programs }),
    streaming: { patienceMs: 50 },
    hold: (handle, name) => {
      holds.push(`begin ${name} ${handle}`)
      return () => holds.push(`end ${name} ${handle}`)
    },
  })
  address = served.address
  await call(address, 'POST', '/containers', { handle: 'c' })
})
afterEach(() => {
  for (const connection of opened.splice(0)) connection.close()
})
afterAll(async () => {
  await served.close()
})

const open = async (at = address): Promise<RawConnection> => {
  const connection = await RawConnection.open(at)
  opened.push(connection)
  return connection
}

/** A run as the Go client sends it: nothing more until the first payload is read. */
async function run(spec: Record<string, unknown>, query = '', behind = '', at = address): Promise<RawConnection> {
  const body = JSON.stringify({ rlimits: {}, image: {}, ...spec })
  const connection = await open(at)
  const length = { 'Content-Length': Buffer.byteLength(body), 'Content-Type': 'application/json' }
  connection.write(head('POST', `/containers/c/processes${query}`, length) + body + behind)
  return connection
}

async function attach(id: string, query = ''): Promise<RawConnection> {
  const connection = await open()
  connection.write(head('GET', `/containers/c/processes/${id}${query}`))
  return connection
}

async function startedOf(control: RawConnection): Promise<{ id: string; streamId: string }> {
  const first = await control.payload(() => true)
  return { id: String(first['process_id']), streamId: String(first['stream_id']) }
}

async function stream(control: RawConnection, name: 'stdout' | 'stderr', at = address): Promise<RawConnection> {
  const { id, streamId } = await startedOf(control)
  const connection = await open(at)
  connection.write(head('GET', `/containers/c/processes/${id}/attaches/${streamId}/${name}`))
  return connection
}

const exitOf = async (control: RawConnection): Promise<Record<string, unknown>> =>
  await control.payload((payload) => 'exit_status' in payload || 'error' in payload)
const frame = (payload: object): string => `${JSON.stringify(payload)}\n`

describe('a run, as the Go client does it', () => {
  it('is 201 with a raw stream behind the head: a first payload, the outputs on connections of their own, the exit, the end', async () => {
    const control = await run({ path: 'echo', args: ['hello'] })
    const answer = await control.untilHead()
    expect(answer.status).toBe(201)
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.headers['date']).toMatch(/GMT$/)
    expect(answer.headers['transfer-encoding']).toBe('chunked') // what the Go client takes for 'there is more'
    expect(answer.headers).not.toHaveProperty('connection')
    expect(answer.headers).not.toHaveProperty('content-length')
    const { id, streamId } = await startedOf(control)
    expect(streamId).toMatch(/^\d+$/)
    const [stdout, stderr] = [await stream(control, 'stdout'), await stream(control, 'stderr')]
    expect(await stdout.untilEnd()).toMatchObject({ status: 200, body: 'hello\n' })
    expect(await stderr.untilEnd()).toMatchObject({ status: 200, body: '' })
    await control.untilEnd()
    expect(control.payloads[0]).toEqual({ process_id: id, stream_id: streamId })
    expect(control.payloads.at(-1)).toMatchObject({ process_id: id, exit_status: 0 })
    expect(control.payloads.length).toBe(2)
  })

  it('tells in its last payload how and when the process ended, the signal as a number', async () => {
    const control = await run({ path: 'spin' })
    await startedOf(control)
    control.write(frame({ process_id: 'p', signal: 1 }))
    expect(await exitOf(control)).toEqual({
      process_id: expect.any(String),
      exit_status: 137,
      signal: 9,
      oom: false,
      started_at: expect.stringMatching(/^20.*Z$/),
      finished_at: expect.stringMatching(/^20.*Z$/),
    })
  })

  it('sends input as text, ends it by a frame without data, and gives each attach its own stream id', async () => {
    const control = await run({ path: 'cat', id: 'cat' })
    const stdout = await stream(control, 'stdout')
    control.write(frame({ process_id: 'cat', source: 0, data: 'grüße ' }))
    control.write(frame({ process_id: 'cat', source: 0, data: 'out' }))
    const second = await attach('cat')
    expect((await startedOf(second)).streamId).not.toBe((await startedOf(control)).streamId)
    control.write(frame({ process_id: 'cat', source: 0 }))
    expect((await stdout.untilEnd()).body).toBe('grüße out')
    expect(await exitOf(control)).toMatchObject({ exit_status: 0 })
    expect(await exitOf(second)).toMatchObject({ exit_status: 0 })
  })

  it('has its errors as JSON when there is no process yet', async () => {
    const missing = await run({ path: 'nosuch' })
    const answer = await missing.untilHead()
    expect(answer.status).toBe(422)
    await waitFor(() => missing.text.endsWith('}\n'), { what: 'the body', timeoutMs: 1000, everyMs: 2 })
    expect(JSON.parse(missing.body.toString())).toMatchObject({
      Type: 'ExecutableNotFoundError',
      Message: 'exec: "nosuch": executable file not found in $PATH',
    })
    expect((await (await run({ path: 'echo', dir: 7 })).untilHead()).status).toBe(400)
    const mounts = await run({ path: 'echo', bind_mounts: [{ src_path: '/a', dst_path: '/b' }] })
    await mounts.untilHead()
    await waitFor(() => mounts.text.includes('Running a process with bind mounts and no image provided'), {
      what: "Garden's own words",
      timeoutMs: 1000,
    })
  })

  it('understands input that came right behind the request', async () => {
    const early = frame({ process_id: '', source: 0, data: 'early' }) + frame({ process_id: '', source: 0 })
    const control = await run({ path: 'cat' }, '', early)
    const stdout = await stream(control, 'stdout')
    expect((await stdout.untilEnd()).body).toBe('early')
  })

  it('works as the second call on a connection that was kept', async () => {
    const connection = await open()
    connection.write(head('GET', '/capacity'))
    await connection.untilHead()
    const body = JSON.stringify({ path: 'exit', args: ['4'] })
    connection.write(head('POST', '/containers/c/processes', { 'Content-Length': body.length }) + body)
    await waitFor(() => connection.text.includes('"exit_status":4'), { what: 'the exit', timeoutMs: 2000 })
  })

  it('has twenty at once, each with all of its output', async () => {
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const control = await run({ path: 'echo', args: [`number ${index}`] })
        return (await (await stream(control, 'stdout')).untilEnd()).body
      }),
    )
    expect(all).toEqual(Array.from({ length: 20 }, (_, index) => `number ${index}\n`))
  })
})

describe('an attach', () => {
  it('is 200, and all who are attached hear the exit', async () => {
    const control = await run({ path: 'spin', id: 'joined' })
    await startedOf(control)
    const others = await Promise.all(Array.from({ length: 6 }, async () => await attach('joined')))
    for (const other of others) expect((await other.untilHead()).status).toBe(200)
    await Promise.all(others.map(startedOf))
    others[3]?.write(frame({ process_id: 'joined', signal: 0 }))
    for (const one of [control, ...others]) expect(await exitOf(one)).toMatchObject({ exit_status: 143 })
  })

  it('to one that has ended tells its exit again, and to an unknown one is 404 and typed', async () => {
    await exitOf(await run({ path: 'exit', args: ['12'], id: 'gone' }))
    for (const id of ['gone', 'gone', 'gone']) expect(await exitOf(await attach(id))).toMatchObject({ exit_status: 12 })
    const unknown = await call(address, 'GET', '/containers/c/processes/nosuch')
    expect(unknown).toMatchObject({
      status: 404,
      json: { Type: 'ProcessNotFoundError', Message: 'unknown process: nosuch', ProcessID: 'nosuch' },
    })
  })

  it.each([
    ['?from=6', 'world\n'],
    ['?stdout_from=0', 'hello world\n'],
    ['?tail=3', 'ld\n'],
    ['', ''],
  ])('with %j replays %j of what was kept', async (query, expected) => {
    const id = `kept${query.replace(/\W/g, '-')}`
    await exitOf(await run({ path: 'echo', args: ['hello world'], id }))
    const control = await attach(id, query)
    expect((await (await stream(control, 'stdout')).untilEnd()).body).toBe(expected)
  })

  it('opens no input unless some is sent, and leaves it open when it goes', async () => {
    const control = await run({ path: 'cat', id: 'shared-input' })
    const stdout = await stream(control, 'stdout')
    const other = await attach('shared-input')
    await startedOf(other)
    other.write(frame({ process_id: '', source: 0, data: 'from another ' }))
    await waitFor(() => stdout.text.includes('from another'), { what: 'its input', timeoutMs: 2000, everyMs: 2 })
    other.close()
    control.write(frame({ process_id: '', source: 0, data: 'and me' }) + frame({ process_id: '', source: 0 }))
    expect((await stdout.untilEnd()).body).toBe('from another and me')
  })
})

describe('an output stream', () => {
  it('of a process that has ended waits for a client that is late, for a while', async () => {
    const control = await run({ path: 'echo', args: ['late'] })
    await exitOf(control)
    await control.untilEnd()
    expect((await (await stream(control, 'stdout')).untilEnd()).body).toBe('late\n')
    const hasty = await serveFake({ finishedStreamMs: 0 })
    await call(hasty.address, 'POST', '/containers', { handle: 'c' })
    const comeLate = async (): Promise<string> => {
      const other = await run({ path: 'echo', args: ['too late'] }, '', '', hasty.address)
      await exitOf(other)
      await other.untilEnd()
      return (await (await stream(other, 'stdout', hasty.address)).untilEnd()).body
    }
    await waitFor(async () => (await comeLate()) === '', { what: 'one that came too late', timeoutMs: 5000 })
    await hasty.close()
  })

  it('nobody knows is 200 and ends at once; of an unknown handle it is 404', async () => {
    const unknown = await open()
    unknown.write(head('GET', '/containers/c/processes/p/attaches/999999/stdout'))
    expect(await unknown.untilEnd()).toMatchObject({ status: 200, body: '' })
    expect((await call(address, 'GET', '/containers/nosuch/processes/p/attaches/1/stdout')).status).toBe(404)
  })

  it('is not opened for a client that says it wants none, and its process reads an input that has ended', async () => {
    const control = await run({ path: 'cat' }, '?streams=stdout')
    expect(await exitOf(control)).toMatchObject({ exit_status: 0 })
    expect((await (await stream(control, 'stderr')).untilEnd()).body).toBe('')
    expect((await (await run({ path: 'cat' }, '?streams=stdlog')).untilHead()).status).toBe(400)
  })
})

describe('what real Garden gets wrong with streams', () => {
  it('defect 1: a reader that is slow gets every byte', async () => {
    const control = await run({ path: 'flood', args: [String(3 * MEGABYTE)] })
    const stdout = await stream(control, 'stdout')
    stdout.socket.pause()
    await waitFor(() => stdout.socket.readableLength > 0 || stdout.body.length > 0, {
      what: 'some output',
      timeoutMs: 2000,
    })
    const reading = setInterval(() => {
      stdout.socket.resume()
      setImmediate(() => stdout.socket.pause())
    }, 1)
    await waitFor(() => stdout.body.length === 3 * MEGABYTE, { what: 'the rest', timeoutMs: 9000 })
    clearInterval(reading)
    stdout.socket.resume()
    expect(await exitOf(control)).toMatchObject({ exit_status: 0 })
    expect(control.payloads.filter((payload) => 'dropped' in payload)).toEqual([])
  })

  it('defect 1: what nobody comes for holds a process up only for a while, and is counted', async () => {
    const control = await run({ path: 'flood', args: [String(4 * MEGABYTE)] })
    expect(await exitOf(control)).toMatchObject({ exit_status: 0 })
    const dropped = control.payloads.flatMap((payload) => ('dropped' in payload ? [payload['dropped']] : []))
    const [notice] = dropped as { stream: string; bytes: number }[]
    const kept = (await (await stream(control, 'stdout')).untilEnd()).body.length
    expect(notice).toEqual({ stream: 'stdout', bytes: 4 * MEGABYTE - kept })
    expect(kept).toBeGreaterThanOrEqual(MEGABYTE)
  })

  it('a reader that lags is no harm to the process when nobody else can watch it', async () => {
    served.backend.inject({ call: 'attach', error: new Error('not now') })
    const control = await run({ path: 'flood', args: [String(3 * MEGABYTE)] })
    expect(await exitOf(control)).toMatchObject({ exit_status: 0 })
    await expect((await served.backend.lookup('c')).attach('any')).rejects.toThrow('unknown process') // it was used up
  })

  it('defect 2: signals, sizes and more come through after the end of the input', async () => {
    const control = await run({ path: 'trap', args: ['42'], tty: {} })
    const stdout = await stream(control, 'stdout')
    control.write(frame({ process_id: '', source: 0 }))
    await waitFor(() => stdout.text.includes('ready'), { what: 'the trap', timeoutMs: 2000, everyMs: 2 })
    control.write(frame({ process_id: '', tty: { window_size: { columns: 7, rows: 5 } } }))
    control.write(frame({ process_id: '', unknown: true }))
    control.write(frame({ process_id: '', signal: 0 }))
    expect(await exitOf(control)).toMatchObject({ exit_status: 42, signal: null })
  })

  it('defect 2: a frame that is no good is refused by a payload, and the next is obeyed', async () => {
    const control = await run({ path: 'spin' })
    await startedOf(control)
    control.write('{"process_id"\n{"signal":7}\n')
    await control.payload((payload) => 'refused' in payload)
    control.write(frame({ signal_number: 2 }))
    expect(await exitOf(control)).toMatchObject({ exit_status: 130, signal: 2 })
    expect(control.payloads.filter((payload) => 'refused' in payload).length).toBe(2)
  })

  it('defect 11: a child that keeps the stream open holds back neither the exit nor the end of the stream', async () => {
    const control = await run({ path: 'leave-child' })
    const stdout = await stream(control, 'stdout')
    expect(await exitOf(control)).toMatchObject({ exit_status: 3 })
    expect((await stdout.untilEnd()).body).toMatch(/^parent\n/)
    await control.untilEnd()
  })

  it('defect 12: input may be any bytes', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value))
    const control = await run({ path: 'cat' })
    const stdout = await stream(control, 'stdout')
    control.write(frame({ process_id: '', source: 0, data_b64: bytes.toString('base64') }))
    control.write(frame({ process_id: '', source: 0 }))
    await stdout.untilEnd()
    expect(stdout.body.equals(bytes)).toBe(true)
  })
})

describe('a client that goes', () => {
  it('before the end of the input ends it, and the process lives on', async () => {
    const control = await run({ path: 'input-watcher', id: 'left' })
    await startedOf(control)
    control.write(frame({ process_id: '', source: 0, data: 'x'.repeat(1000) }))
    control.socket.end()
    await waitFor(
      async () => (await call(address, 'GET', '/containers/c/processes/left/log')).body === 'input ended after 1000\n',
      { what: 'the end of the input', timeoutMs: 3000 },
    )
    const { json } = await call(address, 'GET', '/containers/c/processes')
    expect(json['processes']).toContainEqual(expect.objectContaining({ id: 'left', state: 'running', exit: null }))
    expect((await call(address, 'PUT', '/containers/c/processes/left/signal', { signal: 15 })).body).toBe('{}\n')
    expect(await exitOf(await attach('left'))).toMatchObject({ exit_status: 143 })
    const late = await call(address, 'PUT', '/containers/c/processes/left/signal', { signal: 15 })
    expect(late).toMatchObject({ status: 404, json: { Type: 'ProcessNotFoundError' } })
  })

  it('holds the container as long as its stream is open', async () => {
    holds.length = 0
    const control = await run({ path: 'spin', id: 'held' })
    await startedOf(control)
    expect(holds).toEqual(['begin Run c'])
    control.close()
    await waitFor(() => holds.includes('end Run c'), { what: 'the end of the hold', timeoutMs: 3000 })
  })

  it('at the end of the server gets no exit, and the process lives on', async () => {
    const other = await serveFake()
    await call(other.address, 'POST', '/containers', { handle: 'c' })
    const connection = await RawConnection.open(other.address)
    const body = JSON.stringify({ path: 'spin', id: 'outlives' })
    connection.write(head('POST', '/containers/c/processes', { 'Content-Length': body.length }) + body)
    await connection.payload(() => true)
    await other.close()
    await connection.untilEnd()
    expect(connection.payloads.length).toBe(1)
    const processes = await (await other.backend.lookup('c')).processes()
    expect(processes).toMatchObject([{ id: 'outlives', state: 'running' }])
  })
})
