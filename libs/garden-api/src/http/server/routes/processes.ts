import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { AttachFrom, Container, Process, ProcessIo } from '../../../backend.js'
import { InvalidSpecError } from '../../../errors.js'
import { decodeOrRefuse, integer, object } from '../../codec/fields.js'
import { processInfoToWire } from '../../codec/process-info.js'
import { decodeProcessSpec } from '../../codec/process-spec.js'
import { ANSWERED } from '../answer.js'
import type { Call } from '../call.js'
import { runOnce } from '../idempotency.js'
import type { Route } from '../route.js'
import { hijack } from '../streams/hijack.js'
import { ProcessStream } from '../streams/process-stream.js'
import type { StreamName } from '../streams/stream-table.js'
import type { Begin, ExecOptions } from '../websocket/exec-socket.js'

const PATH = '/containers/:handle/processes'
const MAX_SIGNAL = 64

const output = (stream: StreamName): Route => ({
  name: stream === 'stdout' ? 'Stdout' : 'Stderr',
  method: 'GET',
  path: `${PATH}/:pid/attaches/:streamid/${stream}`,
  handle: async (call) => {
    const { streams } = call.context
    const id = call.param('streamid')
    const found = streams.find(id, call.handle, call.param('pid'))
    if (found === undefined) await call.container() // a stream may outlive its container, but not be made up
    const { socket } = hijack(call, 200)
    socket.on('data', () => undefined)
    const to = found?.outputs[stream]
    if (to === undefined || to.isClaimed) socket.end()
    else {
      const claim = (by: Socket): void => {
        to.claim(by)
        streams.claimed(id)
      }
      await flow(call, claim, socket)
    }
    return ANSWERED
  },
})

/** Loaded for the first who comes with a WebSocket: few do, and a server that starts anew is waited for. */
async function execOverSocket(options: ExecOptions, socket: Duplex, head: Buffer): Promise<void> {
  const { execOverSocket: exec } = await import('../websocket/exec-socket.js')
  await exec(options, socket, head)
}

/** The call lasts until the connection is closed. */
async function flow(call: Call, claim: (socket: Socket) => void, socket: Socket): Promise<void> {
  const { closing } = call.context
  const close = (): void => void socket.destroy()
  closing.addEventListener('abort', close, { once: true })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  claim(socket)
  await closed
  closing.removeEventListener('abort', close)
}

async function join(
  container: Container,
  id: string,
  io: ProcessIo,
  from: AttachFrom,
): Promise<{ process: Process; startedAtMs: number }> {
  const process = await container.attach(id, io, from)
  const info = (await container.processes()).find((one) => one.id === id)
  return { process, startedAtMs: info?.startedAtMs ?? 0 }
}

export const PROCESS_ROUTES: readonly Route[] = [
  {
    name: 'Run',
    method: 'POST',
    path: PATH,
    handle: async (call) => {
      const container = await call.container()
      const spec = decodeProcessSpec(await call.json())
      const stream = new ProcessStream({ call, container, wanted: wantedOf(call), status: 201, ownsStdin: true })
      const begun = await runOnce(call, container, spec, async (turn) =>
        turn.kind === 'run'
          ? { startedAtMs: call.context.clock.now(), process: await container.run(turn.spec, stream.io) }
          : await join(container, turn.processId, stream.io, { kind: 'offset' }),
      )
      await stream.serve(begun.process, begun.startedAtMs)
      return ANSWERED
    },
  },
  {
    name: 'Attach',
    method: 'GET',
    path: `${PATH}/:pid`,
    handle: async (call) => {
      const container = await call.container()
      const stream = new ProcessStream({ call, container, wanted: wantedOf(call), status: 200, ownsStdin: false })
      const joined = await join(container, call.param('pid'), stream.io, fromOf(call))
      await stream.serve(joined.process, joined.startedAtMs)
      return ANSWERED
    },
    upgrade: async (call, socket, head) => {
      const container = await call.container()
      const from = fromOf(call)
      const begin: Begin = async (io) => await container.attach(call.param('pid'), io, from)
      await execOverSocket({ call, container, ownsStdin: false, begin }, socket, head)
    },
  },
  output('stdout'),
  output('stderr'),
  {
    name: 'Processes',
    method: 'GET',
    path: PATH,
    feature: 'processes',
    handle: async (call) => ({
      processes: (await (await call.container()).processes()).map((process) => processInfoToWire(process)),
    }),
    /* a handshake has no body: the spec of what to run is the first message */
    upgrade: async (call, socket, head) => {
      const container = await call.container()
      const begin: Begin = async (io, firstText) => await container.run(decodeProcessSpec(await firstText()), io)
      await execOverSocket({ call, container, ownsStdin: true, begin }, socket, head)
    },
  },
  {
    name: 'ProcessLog',
    method: 'GET',
    path: `${PATH}/:pid/log`,
    feature: 'process-log',
    handle: async (call) => {
      const container = await call.container()
      const chunk = await container.readLog(call.param('pid'), streamOf(call), numberOf(call, 'from') ?? 0)
      call.res.writeHead(200, {
        'content-type': 'application/octet-stream',
        'content-length': chunk.data.length,
        'garden-offset': chunk.offset,
        'garden-dropped': chunk.droppedBytes,
      })
      call.res.end(chunk.data)
      return ANSWERED
    },
  },
  {
    name: 'Signal',
    method: 'PUT',
    path: `${PATH}/:pid/signal`,
    feature: 'process-signal',
    handle: async (call) => {
      const container = await call.container()
      const signal = await signalOf(call)
      const process = await container.attach(call.param('pid'))
      try {
        await process.signal(signal)
      } finally {
        process.detach()
      }
      return {}
    },
  },
]

const ALL_STREAMS = ['stdin', 'stdout', 'stderr'] as const

/** Garden's clients say nothing and may come for either output. */
function wantedOf({ query }: Call): Set<StreamName | 'stdin'> {
  const text = query.get('streams')
  if (text === null) return new Set(ALL_STREAMS)
  const names = text.split(',').filter((name) => name !== '')
  return new Set(
    names.map((name) => {
      const known = ALL_STREAMS.find((one) => one === name)
      if (known === undefined)
        throw new InvalidSpecError(`there is no stream ${name}`, { streams: `must be of ${ALL_STREAMS.join(', ')}` })
      return known
    }),
  )
}

function streamOf({ query }: Call): StreamName {
  const name = query.get('stream') ?? 'stdout'
  if (name === 'stdout' || name === 'stderr') return name
  throw new InvalidSpecError(`there is no stream ${name}`, { stream: 'must be stdout or stderr' })
}

function fromOf(call: Call): AttachFrom {
  const tail = numberOf(call, 'tail')
  if (tail !== undefined) return { kind: 'tail', bytes: tail }
  const both = numberOf(call, 'from')
  const stdout = numberOf(call, 'stdout_from') ?? both
  const stderr = numberOf(call, 'stderr_from') ?? both
  if (stdout === undefined && stderr === undefined) return { kind: 'now' }
  return { kind: 'offset', ...(stdout !== undefined && { stdout }), ...(stderr !== undefined && { stderr }) }
}

function numberOf({ query }: Call, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidSpecError(`${name} is not a number of bytes`, { [name]: 'must be a whole number of at least 0' })
}

async function signalOf(call: Call): Promise<number> {
  const fields = object({ signal: integer(1, MAX_SIGNAL) })
  return decodeOrRefuse(
    'signal',
    (value, problems) => {
      const { signal } = fields(value, '', problems) ?? {}
      if (signal === undefined && problems.size === 0) problems.set('signal', 'is missing')
      return signal
    },
    await call.json(),
  )
}
