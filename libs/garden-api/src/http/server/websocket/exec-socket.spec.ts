import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { waitFor } from '@croft/kit'
import { WebSocket } from 'ws'
import { CHANNELS, encodeMessage, EXEC_PROTOCOL } from '../../codec/channels.js'
import { call } from '../../testing/raw.js'
import { serveFake, type Served } from '../../testing/serve.js'

let served: Served
beforeAll(async () => {
  served = await serveFake()
  await served.backend.create({ handle: 'c' })
})
afterAll(async () => {
  await served.close()
})

/** A client that keeps what comes on each channel. */
class Client {
  readonly #messages: { channel: number; data: Buffer }[] = []
  readonly closed: Promise<number>

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (message: Buffer) =>
      this.#messages.push({ channel: message[0] ?? -1, data: message.subarray(1) }),
    )
    this.closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => undefined)
  }
  static async open(path: string, to = served): Promise<Client> {
    const socket = new WebSocket(`ws+unix:${to.address.slice('unix:'.length)}:${path}`, EXEC_PROTOCOL)
    const client = new Client(socket)
    await once(socket, 'open')
    return client
  }
  static async run(spec: object, to = served): Promise<Client> {
    const client = await Client.open('/containers/c/processes', to)
    client.socket.send(JSON.stringify(spec))
    return client
  }
  send(channel: keyof typeof CHANNELS, data: Buffer | object): void {
    this.socket.send(encodeMessage(channel, data))
  }
  on(channel: keyof typeof CHANNELS): Buffer {
    return Buffer.concat(this.#messages.filter((one) => one.channel === CHANNELS[channel]).map(({ data }) => data))
  }
  get statuses(): Record<string, unknown>[] {
    return this.#messages
      .filter((one) => one.channel === CHANNELS.status)
      .map(({ data }) => JSON.parse(data.toString()) as Record<string, unknown>)
  }
  async until(what: string, probe: () => boolean): Promise<void> {
    await waitFor(probe, { what, timeoutMs: 5_000, everyMs: 2 })
  }
}

describe('a process over a WebSocket', () => {
  it('is announced, and negotiates its protocol', async () => {
    expect((await call(served.address, 'GET', '/ping')).json['features']).toContain('websocket')
    const client = await Client.run({ path: 'exit', args: ['0'] })
    expect(client.socket.protocol).toBe(EXEC_PROTOCOL)
    expect(await client.closed).toBe(1000)
  })

  it('tells its id, its outputs on a channel each, and how it ended', async () => {
    const client = await Client.run({ id: 'e', path: 'echo', args: ['hello'] })
    expect(await client.closed).toBe(1000)
    expect(client.on('stdout').toString()).toBe('hello\n')
    expect(client.statuses).toMatchObject([
      { process_id: 'e' },
      { process_id: 'e', exit_status: 0, signal: null, oom: false },
    ])
    const both = await Client.run({ path: 'tee', args: ['/dev/stderr'] })
    both.send('stdin', Buffer.from('twice'))
    both.send('close', Buffer.of(CHANNELS.stdin))
    await both.closed
    expect([both.on('stdout').toString(), both.on('stderr').toString()]).toEqual(['twice', 'twice'])
  })

  it('gets any bytes on standard input, in order, and its end by a close message', async () => {
    const client = await Client.run({ path: 'cat' })
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const big = Buffer.alloc(500_000, all)
    client.send('stdin', big)
    client.send('stdin', all)
    client.send('close', Buffer.of(CHANNELS.stdin))
    expect(await client.closed).toBe(1000)
    expect(client.on('stdout').equals(Buffer.concat([big, all]))).toBe(true)
  })

  it('gets signals, also after the end of standard input', async () => {
    const client = await Client.run({ path: 'trap', args: ['7'] })
    client.send('close', Buffer.of(CHANNELS.stdin))
    await client.until('ready', () => client.on('stdout').toString() === 'ready\n')
    client.send('status', { signal: 15 })
    await client.closed
    expect(client.statuses.at(-1)).toMatchObject({ exit_status: 7 })
  })

  it('runs on when its client goes, its standard input at its end, and can be joined, from the past too', async () => {
    const client = await Client.run({ id: 'stays', path: 'trap', args: ['5'] })
    await client.until('ready', () => client.on('stdout').length > 0)
    client.socket.terminate()
    const joined = await Client.open('/containers/c/processes/stays?from=0')
    await joined.until('the past', () => joined.on('stdout').toString() === 'ready\n')
    joined.send('status', { signal: 15 })
    expect(await joined.closed).toBe(1000)
    expect(joined.statuses.at(-1)).toMatchObject({ process_id: 'stays', exit_status: 5 })
  })

  it('is fed by one who joined, whose going does not end its input', async () => {
    const client = await Client.run({ id: 'fed', path: 'cat' })
    await client.until('its id', () => client.statuses.length === 1)
    const joined = await Client.open('/containers/c/processes/fed')
    await joined.until('its id', () => joined.statuses.length === 1)
    joined.send('stdin', Buffer.from('from the other'))
    await client.until('the input', () => client.on('stdout').toString() === 'from the other')
    joined.socket.close()
    await joined.closed
    client.send('stdin', Buffer.from(', and from me'))
    client.send('close', Buffer.of(CHANNELS.stdin))
    await client.closed
    expect(client.on('stdout').toString()).toBe('from the other, and from me')
  })

  it.each([
    ['a program that is not there', { path: 'nosuch' }, 'ExecutableNotFoundError'],
    ['a spec that is none', { args: 5 }, ''],
  ])('is refused with the reason: %s', async (_what, spec, type) => {
    const client = await Client.run(spec)
    expect(await client.closed).toBe(4000)
    expect(client.statuses).toMatchObject([{ failure: { Type: type } }])
  })

  it.each([
    ['an unknown channel', Buffer.of(9, 1)],
    ['a size without rows', encodeMessage('resize', { columns: 80 })],
    ['the end of an output', Buffer.of(CHANNELS.close, CHANNELS.stdout)],
    ['no JSON', Buffer.concat([Buffer.of(CHANNELS.status), Buffer.from('{')])],
  ])('closes the connection that sends %s, and lives on', async (_what, message) => {
    const client = await Client.run({ path: 'spin' })
    await client.until('its id', () => client.statuses.length === 1)
    client.socket.send(message)
    expect(await client.closed).toBe(1007)
    expect(client.statuses.at(-1)).toHaveProperty('refused')
    const id = client.statuses[0]?.['process_id']
    const running = await (await served.backend.lookup('c')).processes()
    expect(running.find((process) => process.id === id)?.state).toBe('running')
  })

  it('of a container that is not there is an answer, not a socket', async () => {
    await expect(Client.open('/containers/nosuch/processes')).rejects.toThrow('404')
    await expect(Client.open('/containers/c/info')).rejects.toThrow()
  })

  it('holds its container until the socket is closed, and ends with the server', async () => {
    const seen: string[] = []
    const held = await serveFake({
      hold: (handle, name) => {
        seen.push(`begin ${name} ${handle}`)
        return () => seen.push(`end ${name} ${handle}`)
      },
    })
    await held.backend.create({ handle: 'c' })
    const client = await Client.run({ path: 'spin' }, held)
    await client.until('its id', () => client.statuses.length === 1)
    expect(seen).toEqual(['begin Processes c'])
    await held.close()
    expect(await client.closed).toBe(1001)
    expect(seen).toEqual(['begin Processes c', 'end Processes c'])
  })
})
