import { waitFor } from '@croft/kit'
import type { DesiredStream, LogLine } from '@croft/protocol'
import { Agent, request } from 'undici'
import { WebSocket } from 'ws'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ControlRig, type App } from './support/control-rig.js'
import { ScriptedNode } from './support/scripted-node.js'

/** Logs: asked of the controller, answered by a node that dials back, ended by either side. */

let rig: ControlRig
let node: ScriptedNode
let app: App
/** Websockets the node dialed, by stream. */
const sockets = new Map<string, WebSocket>()
let asked: DesiredStream[] = []

beforeAll(async () => {
  rig = await ControlRig.start()
  node = new ScriptedNode(rig.nodeSocket)
  await node.start()
  app = await rig.createApp('chatty')
  await rig.finish((await rig.release(app)).id)
})
afterAll(async () => {
  await node?.stop()
  await rig?.close()
})
beforeEach(() => {
  asked = []
  node.onStream = (stream) => {
    asked.push(stream)
    const socket = new WebSocket(`ws+unix://${rig.nodeSocket}:/v1/streams/${stream.streamId}`)
    sockets.set(stream.streamId, socket)
    socket.on('open', () => {
      for (let index = 0; index < Math.min(3, stream.lines); index += 1) say(stream, `line ${index}`)
      if (!stream.isFollowing) socket.close(1000)
    })
  }
})

function say(stream: DesiredStream, line: string): void {
  const message: LogLine = { at: new Date().toISOString(), instance: 'web.1', stream: 'stdout', line }
  sockets.get(stream.streamId)?.send(JSON.stringify(message))
}

async function ask(query: string, signal?: AbortSignal) {
  const agent = new Agent({ connect: { socketPath: rig.apiSocket } })
  return request(`http://rig/api/v1/apps/chatty/logs?${query}`, {
    dispatcher: agent,
    headers: { authorization: `Bearer ${rig.operatorToken}` },
    ...(signal !== undefined && { signal }),
  })
}

describe('logs', () => {
  it('are the newest lines, one JSON object a line, and end', async () => {
    const { statusCode, headers, body } = await ask('lines=50&instance=web')
    expect(statusCode).toBe(200)
    expect(headers['content-type']).toContain('application/x-ndjson')
    const lines = (await body.text()).trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as LogLine).line)).toEqual(['line 0', 'line 1', 'line 2'])
    expect(asked).toMatchObject([{ appId: app.id, filter: 'web', lines: 50, isFollowing: false }])
    await waitFor(() => node.streams.length === 0, { what: 'the stream to leave the desired set', timeoutMs: 5_000 })
  })

  it('go on as they come while followed, and the node hears when the reader leaves', async () => {
    const gone = new AbortController()
    const { body } = await ask('lines=0&follow=1', gone.signal)
    const [stream] = await waitFor(() => asked.length === 1 && asked, { what: 'the stream', timeoutMs: 5_000 })
    if (stream === undefined) throw new Error('no stream')
    let text = ''
    body.on('data', (chunk: Buffer) => (text += chunk.toString()))
    body.on('error', () => undefined)
    say(stream, 'first')
    await waitFor(() => text.includes('first'), { what: 'the first line', timeoutMs: 5_000 })
    say(stream, 'second')
    await waitFor(() => text.includes('second'), { what: 'the second line', timeoutMs: 5_000 })
    gone.abort()
    await waitFor(() => sockets.get(stream.streamId)?.readyState === WebSocket.CLOSED, {
      what: 'the close',
      timeoutMs: 5_000,
    })
    await waitFor(() => node.streams.length === 0, { what: 'the stream to leave the desired set', timeoutMs: 5_000 })
  })

  it('end for the reader when the node ends them', async () => {
    const { body } = await ask('lines=1&follow=true')
    await waitFor(() => asked.length === 1, { what: 'the stream', timeoutMs: 5_000 })
    sockets.get(asked[0]?.streamId ?? '')?.close(1000)
    expect(await body.text()).toContain('line 0')
  })

  it('of a node that does not dial back are refused with a remedy', async () => {
    node.onStream = () => undefined
    const { statusCode, body } = await ask('lines=1')
    expect(statusCode).toBe(503)
    expect(await body.json()).toMatchObject({ code: 'logs-unavailable' })
  })

  it('end with the controller, which does not wait for their readers', async () => {
    const { body } = await ask('lines=1&follow=1')
    body.on('error', () => undefined)
    await waitFor(() => asked.length === 1, { what: 'the stream', timeoutMs: 5_000 })
    const startedAt = performance.now()
    await rig.restart()
    expect(performance.now() - startedAt).toBeLessThan(3_000)
  })

  it('of an app that never ran are empty', async () => {
    await rig.createApp('quiet')
    const { status, body } = await rig.api('GET', '/apps/quiet/logs')
    expect([status, body]).toEqual([200, undefined])
  })

  it('are not told about apps of nobody, and a stream nobody waits for is refused', async () => {
    expect((await rig.api('GET', '/apps/nobody/logs')).status).toBe(404)
    expect((await rig.api('GET', '/apps/chatty/logs?instance=..')).status).toBe(400)
    const stray = new WebSocket(`ws+unix://${rig.nodeSocket}:/v1/streams/0190a000-0000-7000-8000-000000000000`)
    const refused = await new Promise((resolve) => stray.on('error', (error) => resolve(error.message)))
    expect(refused).toMatch(/404/)
  })
})
