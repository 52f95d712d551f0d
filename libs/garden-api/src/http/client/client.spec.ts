import { createConnection, createServer, type Server } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { waitFor } from '@croft/kit'
import type { Backend } from '../../backend.js'
import {
  AlreadyInUseError,
  ContainerNotFoundError,
  ExecutableNotFoundError,
  InvalidSpecError,
  NotSupportedError,
  ProcessNotFoundError,
  ServiceUnavailableError,
} from '../../errors.js'
import { FakeBackend } from '../../fake/index.js'
import { Sink } from '../../conformance/streams.js'
import { serveFake, type Served } from '../testing/serve.js'
import { createGardenClient } from './client.js'

describe('a client of our server', () => {
  let served: Served
  let client: Backend
  beforeAll(async () => {
    served = await serveFake()
    client = createGardenClient({ address: served.address })
  })
  afterAll(async () => {
    await client.close()
    await served.close()
  })

  it('knows what was adopted: all there is', async () => {
    await client.create({ handle: 'kept' })
    expect(await client.recover()).toEqual({ adopted: ['kept'], removed: [] })
    expect(await client.capabilities()).toEqual(await served.backend.capabilities())
  })

  it('opens only the streams somebody wants, and gives a process without input one that has ended', async () => {
    const container = await client.create({})
    const process = await container.run({ path: 'cat' })
    expect((await process.wait()).exitCode).toBe(0)
  })

  it('sends any signal, and hears when the process has ended', async () => {
    const container = await client.create({})
    const process = await container.run({ path: 'spin' })
    await process.resize(80, 24)
    await process.signal(12)
    expect(await process.wait()).toMatchObject({ exitCode: 140, signal: 12 })
    await expect(process.signal(12)).rejects.toThrow(ProcessNotFoundError)
    await expect(process.resize(80, 24)).rejects.toThrow(ProcessNotFoundError)
  })

  it('lets a process go, which runs on', async () => {
    const container = await client.create({})
    const process = await container.run({ path: 'spin', id: 'on' })
    process.detach()
    await expect(process.wait()).rejects.toThrow('let go of')
    expect(await container.processes()).toMatchObject([{ id: 'on', state: 'running' }])
  })

  it('says that the server is gone, to one who waits too', async () => {
    const other = await serveFake()
    const gone = createGardenClient({ address: other.address })
    const container = await gone.create({})
    const process = await container.run({ path: 'spin' }, { stdout: new Sink() })
    const waiting = expect(process.wait()).rejects.toThrow(ServiceUnavailableError)
    await other.close()
    await waiting
    await expect(gone.ping()).rejects.toThrow(/^the container API at unix:.* cannot be reached/)
    await expect(container.run({ path: 'spin' })).rejects.toThrow(ServiceUnavailableError)
  })

  it('gives up a create whose caller has', async () => {
    const giveUp = new AbortController()
    served.backend.inject({ call: 'create', handle: 'slow', delayMs: 200 })
    const creating = client.create({ handle: 'slow' }, giveUp.signal)
    await waitFor(() => served.backend.calls.includes('create slow'), {
      what: 'the create',
      timeoutMs: 2000,
      everyMs: 2,
    })
    giveUp.abort(new Error('enough'))
    await expect(creating).rejects.toThrow('enough')
    await waitFor(async () => served.backend.calls.includes('create slow'), { what: 'its end', timeoutMs: 2000 })
    await expect(client.lookup('slow')).rejects.toThrow(ContainerNotFoundError)
  })

  it('tells every event from the moment it is asked, and that the server ended them', async () => {
    const other = await serveFake()
    const listener = createGardenClient({ address: other.address })
    const events = listener.events(new AbortController().signal)[Symbol.asyncIterator]()
    await listener.eventPosition()
    await listener.create({ handle: 'first' })
    expect((await events.next()).value).toMatchObject({ kind: 'created', handle: 'first', version: 1 })
    const next = expect(events.next()).rejects.toThrow(ServiceUnavailableError)
    await other.close()
    await next
  })

  it('ends the events quietly for who gives up, and when it is closed itself', async () => {
    const giveUp = new AbortController()
    const quiet = async (backend: Backend, signal: AbortSignal): Promise<string> => {
      for await (const event of backend.events(signal)) return event.kind
      return 'over'
    }
    const reading = quiet(client, giveUp.signal)
    giveUp.abort()
    expect(await reading).toBe('over')
    const closed = createGardenClient({ address: served.address })
    const other = quiet(closed, new AbortController().signal)
    await closed.close()
    expect(await other).toBe('over')
  })

  it('calls an answer that makes no sense the fault of the server', async () => {
    const capacity = served.backend.capacity.bind(served.backend)
    served.backend.capacity = async () => ({
      ...(await capacity()),
      memoryBytes: Number.NaN,
      diskBytes: -1,
    })
    await expect(client.capacity()).rejects.toMatchObject({ code: 'bad-answer', status: 502 })
    served.backend.capacity = capacity
  })

  it('refuses a handle that the wire would take for none', async () => {
    await expect(client.create({ handle: '' })).rejects.toThrow(InvalidSpecError)
  })

  it('asks for many at once in pieces', async () => {
    const handles = Array.from({ length: 250 }, (_, index) => `many-${index}`)
    const found = await client.bulkMetrics(['kept', ...handles])
    expect(found.size).toBe(251)
    expect(found.get('kept')?.value?.pids.current).toBe(1)
    expect(found.get('many-249')?.error).toBeInstanceOf(ContainerNotFoundError)
  })

  it('hears how many bytes it missed', async () => {
    const container = await client.create({})
    const dropping = await served.backend.lookup(container.handle)
    let onDropped: ((stream: 'stdout' | 'stderr', bytes: number) => void) | undefined
    served.backend.lookup = async () =>
      Object.assign(Object.create(dropping) as typeof dropping, {
        run: async (...[spec, io]: Parameters<typeof dropping.run>) => {
          onDropped = io?.onDropped
          return await dropping.run(spec, io)
        },
      })
    const missed: [string, number][] = []
    const process = await container.run(
      { path: 'spin' },
      { stdout: new Sink(), onDropped: (stream, bytes) => missed.push([stream, bytes]) },
    )
    onDropped?.('stdout', 1234)
    await waitFor(() => missed.length > 0, { what: 'the notice', timeoutMs: 2000, everyMs: 2 })
    expect(missed).toEqual([['stdout', 1234]])
    process.detach()
    served.backend.lookup = FakeBackend.prototype.lookup.bind(served.backend)
  })
})

/**
 * Real Garden, as far as the wire shows: its ping says nothing, Croft's calls are unknown to it and its errors are 500 with
 * five strings. Behind it is the fake; every connection is one call.
 */
class RealGarden {
  readonly requests: string[] = []
  readonly #server: Server

  constructor(private readonly behind: string) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (first) => {
        const [line = ''] = first.toString('latin1').split('\r\n')
        this.requests.push(line.replace(' HTTP/1.1', ''))
        const canned = answerTo(line)
        if (canned !== null) return void socket.end(canned)
        const on = createConnection(this.behind.slice('unix:'.length))
        on.on('error', () => undefined).once('close', () => socket.destroy())
        socket.once('close', () => on.destroy())
        on.write(first)
        socket.pipe(on)
        on.pipe(socket)
      })
    })
  }
  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(path, resolve))
  }
  async close(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

const OURS = [
  / \/(capabilities|events|metrics)/,
  / \/containers\/(check|pause|resume)/,
  /^(GET|HEAD|PATCH) \/containers\/(?!bulk)[^/ ?]+(\/limits|\/processes|\/grace_time|\/lease|)[ ?]/,
  /\/(log|signal)[ ?]/,
]

function answerTo(line: string): string | null {
  const text = (status: string, type: string, body: string, headers = ''): string =>
    `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\n${headers}\r\n${body}`
  if (line.startsWith('GET /ping')) return text('200 OK', 'application/json', '{}\n')
  if (OURS.some((pattern) => pattern.test(line))) return text('404 Not Found', 'text/plain', '404 page not found\n')
  if (line.includes('/containers/chunky/processes')) {
    const body = '{"Type":"ExecutableNotFoundError","Message":"exec: \\"x\\": executable file not found in $PATH"}\n'
    return text(
      '500 Internal Server Error',
      'application/json',
      `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      'Transfer-Encoding: chunked\r\n',
    )
  }
  if (line.startsWith('DELETE /containers/busy'))
    return text(
      '500 Internal Server Error',
      'application/json',
      '{"Type":"","Message":"container already being destroyed"}\n',
    )
  return null
}

describe('a client of real Garden', () => {
  let folder: string
  let served: Served
  let garden: RealGarden
  let client: Backend
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'croft-garden-'))
    served = await serveFake()
    garden = new RealGarden(served.address)
    await garden.listen(join(folder, 'garden.sock'))
    client = createGardenClient({ address: `unix:${join(folder, 'garden.sock')}` })
  })
  afterAll(async () => {
    await client.close()
    await garden.close()
    await served.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('creates, finds by the list, and destroys', async () => {
    const container = await client.create({ handle: 'plain', properties: { a: 'b' } })
    expect((await client.lookup('plain')).handle).toBe('plain')
    await expect(client.lookup('nosuch')).rejects.toThrow(ContainerNotFoundError)
    expect(await container.properties()).toEqual({ a: 'b' })
    await client.destroy('plain')
    await client.destroy('plain', { ifExists: true })
    await expect(client.destroy('plain')).rejects.toThrow(ContainerNotFoundError)
    expect(garden.requests.filter((line) => line.includes('ignore_missing'))).toEqual([])
  })

  it('waits for a destroy that somebody else began', async () => {
    await client.create({ handle: 'busy' })
    const destroying = client.destroy('busy')
    await waitFor(() => garden.requests.includes('DELETE /containers/busy'), {
      what: 'its call',
      timeoutMs: 2000,
      everyMs: 2,
    })
    await served.backend.destroy('busy')
    await destroying
  })

  it('runs with what Garden has: text input, its own two signals, an end of input for who sends none', async () => {
    const container = await client.create({})
    const stdout = new Sink()
    const text = Buffer.from('zwölf') // cut in the middle of a character
    const cat = await container.run(
      { path: 'cat' },
      {
        stdin: Readable.from([text.subarray(0, 3), text.subarray(3)]),
        stdout,
      },
    )
    expect((await cat.wait()).exitCode).toBe(0)
    expect(stdout.text).toBe('zwölf')
    expect((await (await container.run({ path: 'cat' })).wait()).exitCode).toBe(0)
    const spin = await container.run({ path: 'spin', id: 'spin' })
    await expect(spin.signal(12)).rejects.toThrow(NotSupportedError)
    const other = await container.attach('spin')
    await spin.signal(15)
    expect((await other.wait()).exitCode).toBe(143)
    await spin.wait()
    await expect(spin.signal(15)).rejects.toThrow(ProcessNotFoundError)
    expect(garden.requests.filter((line) => line.includes('streams='))).toEqual([])
  })

  it('leaves the input of a process alone to which it attaches without one', async () => {
    const container = await client.create({})
    const stdout = new Sink()
    const stdin = new Readable({ read: () => undefined })
    const cat = await container.run({ path: 'cat', id: 'shared' }, { stdin, stdout })
    const other = await container.attach('shared')
    stdin.push('still open')
    await waitFor(() => stdout.text === 'still open', { what: 'the input', timeoutMs: 2000, everyMs: 2 })
    stdin.push(null)
    expect((await cat.wait()).exitCode).toBe(0)
    expect((await other.wait()).exitCode).toBe(0)
  })

  it('reads errors that are chunked, in front of a stream too', async () => {
    await client.create({ handle: 'chunky' })
    await expect((await client.lookup('chunky')).run({ path: 'x' })).rejects.toThrow(ExecutableNotFoundError)
    await expect(client.create({ handle: 'chunky' })).rejects.toThrow(AlreadyInUseError)
  })

  it('puts limits together, and knows what Garden can do', async () => {
    const limits = { memory: { limitBytes: 64 }, disk: { byteHard: 5, scope: 'exclusive' as const } }
    const container = await client.create({ limits })
    expect(await container.limits()).toEqual(limits)
    expect((await client.capabilities()).hasSidecars).toBe(true)
  })

  it('says what Garden cannot be asked, before anything happens', async () => {
    const container = await client.create({})
    const cannot: (() => Promise<unknown>)[] = [
      async () => await container.processes(),
      async () => await container.readLog('p', 'stdout'),
      async () => await container.attach('p', {}, { kind: 'tail', bytes: 5 }),
      async () => await container.changeLimits({ pids: { max: 5 } }),
      async () => await container.graceTimeMs(),
      async () => await container.setGraceTime(0), // Garden would destroy it at once
      async () => await container.lease(),
      async () => await container.setLease({ holder: 'me', expiresAtMs: 5 }),
      async () => await client.pause([container.handle]),
      async () => await client.resume([container.handle]),
      async () => await client.check({}),
      async () => await client.eventPosition(),
      async () => {
        for await (const event of client.events(AbortSignal.timeout(1000))) throw new Error(event.kind)
      },
      async () => await client.create({ hostname: 'h' }),
      async () => await client.create({ bindMounts: [{ srcPath: '/a', dstPath: '/b', mode: 'ro', isIdmapped: true }] }),
    ]
    for (const call of cannot) await expect(call()).rejects.toThrow(NotSupportedError)
    expect((await container.info()).state).toBe('active')
    await container.setGraceTime(60_000)
  })

  it('tells a stream that broke off from one that ended', async () => {
    const container = await client.create({})
    const process = await container.run({ path: 'spin' })
    const waiting = expect(process.wait()).rejects.toThrow(ServiceUnavailableError)
    await served.server.close()
    await waiting
    await expect(container.info()).rejects.toThrow(ServiceUnavailableError)
  })
})
