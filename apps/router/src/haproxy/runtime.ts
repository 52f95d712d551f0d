import { createConnection } from 'node:net'
import { assertNever, CroftError } from '@croft/kit'
import type { Change } from './reconcile.js'
import { BLANK_ADDRESS, emptyMaps, type HaproxyState, type Maps, type MapName, type Slot } from './state.js'
import { mapFile } from './render.js'

/** HAProxy does not answer on its command socket: it is down, or hangs. */
export class HaproxyAway extends CroftError {
  constructor(socket: string, cause: unknown) {
    super({
      code: 'haproxy-away',
      status: 503,
      title: 'HAProxy does not answer on its command socket',
      detail: socket,
      cause,
    })
  }
}

/** HAProxy refused a command: what it serves is not what was thought. */
export class CommandRefused extends CroftError {
  constructor(command: string, reply: string) {
    super({ code: 'haproxy-command-refused', status: 500, title: `HAProxy refused: ${command}`, detail: reply.trim() })
  }
}

/** Replies of a table's worth of commands come well within this. */
const BATCH_TIMEOUT_MS = 10_000
const PROMPT = '\n> '

/**
 * Runs commands in order over one short connection (a lasting one would keep a worker alive after a reload) and returns a reply
 * for each.
 * @throws HaproxyAway when nothing answers, or not in time.
 */
export function runCommands(socketPath: string, commands: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath)
    const replies: string[] = []
    let text = ''
    const fail = (cause: unknown): void => {
      socket.destroy()
      reject(new HaproxyAway(socketPath, cause))
    }
    socket.setTimeout(BATCH_TIMEOUT_MS, () => fail(new Error(`no answer in ${BATCH_TIMEOUT_MS} ms`)))
    socket.setEncoding('utf8')
    socket.on('error', fail)
    socket.on('close', () => fail(new Error(`closed after ${replies.length} of ${commands.length} replies`)))
    socket.on('connect', () => socket.write(['prompt', ...commands, ''].join('\n')))
    socket.on('data', (chunk: string) => {
      text += chunk
      const pieces = text.split(PROMPT)
      text = pieces.pop() ?? ''
      replies.push(...pieces)
      if (replies.length <= commands.length) return
      socket.removeAllListeners('close')
      socket.destroy()
      resolve(replies.slice(1))
    })
  })
}

/** One command, without the prompt mode that the master's socket shapes differently; the reply ends with the connection. */
export function runOne(socketPath: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath)
    let text = ''
    const fail = (cause: unknown): void => {
      socket.destroy()
      reject(new HaproxyAway(socketPath, cause))
    }
    socket.setTimeout(BATCH_TIMEOUT_MS, () => fail(new Error(`no answer in ${BATCH_TIMEOUT_MS} ms`)))
    socket.setEncoding('utf8')
    socket.on('error', fail)
    socket.on('connect', () => socket.end(`${command}\n`))
    socket.on('data', (chunk: string) => (text += chunk))
    socket.on('close', () => resolve(text))
  })
}

/** What must match a command's reply for it to count as done; most say nothing at all. */
const ADDRESS_REPLY = /changed from|no need to change|nothing changed/
const SILENCE = /^\s*$/

/** The runtime commands of a change, each with the reply that means success. */
export function commandsOf(change: Change, run: string): { text: string; reply: RegExp }[] {
  switch (change.kind) {
    case 'open': {
      const server = `${change.backend}/${change.slot}`
      const { host, port } = splitAddress(change.address)
      return [
        ...(change.isMoved ? [{ text: `set server ${server} addr ${host} port ${port}`, reply: ADDRESS_REPLY }] : []),
        { text: `set server ${server} weight ${change.weight}`, reply: SILENCE },
        { text: `set server ${server} state ready`, reply: SILENCE },
      ]
    }
    case 'weigh':
      return [{ text: `set server ${change.backend}/${change.slot} weight ${change.weight}`, reply: SILENCE }]
    case 'close':
      return [{ text: `set server ${change.backend}/${change.slot} state maint`, reply: SILENCE }]
    case 'map-add':
      return [{ text: `add map ${mapFile(run, change.map)} ${change.key} ${change.value}`, reply: SILENCE }]
    case 'map-set':
      return [{ text: `set map ${mapFile(run, change.map)} ${change.key} ${change.value}`, reply: SILENCE }]
    case 'map-delete':
      return [{ text: `del map ${mapFile(run, change.map)} ${change.key}`, reply: SILENCE }]
    default:
      return assertNever(change)
  }
}

/** Makes the changes, in their order. @throws CommandRefused, HaproxyAway. What was done before stays done. */
export async function applyChanges(socketPath: string, run: string, changes: readonly Change[]): Promise<void> {
  const commands = changes.flatMap((change) => commandsOf(change, run))
  if (commands.length === 0) return
  const replies = await runCommands(
    socketPath,
    commands.map((command) => command.text),
  )
  for (const [index, command] of commands.entries()) {
    const reply = replies[index] ?? ''
    if (!command.reply.test(reply)) throw new CommandRefused(command.text, reply)
  }
}

export interface Observation {
  state: HaproxyState
  /** Of the configuration that the worker runs, see `render`. */
  hash: string
  /** The worker's. */
  pid: number
}

/** Reads what HAProxy serves. @throws HaproxyAway. */
export async function observe(socketPath: string, run: string): Promise<Observation> {
  const maps: MapName[] = ['routes', 'names', 'idle']
  const replies = await runCommands(socketPath, [
    'show info',
    'show servers state',
    ...maps.map((map) => `show map ${mapFile(run, map)}`),
  ])
  const [info = '', servers = '', routes = '', names = '', idle = ''] = replies
  const parsed: Maps = emptyMaps()
  parsed.routes = parseMap(routes)
  parsed.names = parseMap(names)
  parsed.idle = parseMap(idle)
  return {
    state: { slots: parseServersState(servers), maps: parsed },
    hash: /^description: croft-(\S+)/im.exec(info)?.[1] ?? '',
    pid: Number(/^Pid: (\d+)/m.exec(info)?.[1] ?? 0),
  }
}

const APP_BACKEND = /^b\d+$/
const APP_SLOT = /^s\d+$/
/**
 * Bits of the administrative state that keep requests away: forced, inherited and resolver maintenance, and drain. The bit that
 * only remembers a `disabled` of the configuration stays for ever.
 */
const OUT_OF_SERVICE = 0x01 | 0x02 | 0x20 | 0x08 | 0x10

/** The app slots of `show servers state`, in the order of the configuration. */
export function parseServersState(text: string): Slot[] {
  return text
    .split('\n')
    .filter((line) => /^\d+ /.test(line))
    .map((line) => line.split(' '))
    .filter((fields) => APP_BACKEND.test(fields[1] ?? '') && APP_SLOT.test(fields[3] ?? ''))
    .map((fields) => ({
      backend: fields[1] ?? '',
      name: fields[3] ?? '',
      address: joinAddress(fields[4] ?? '', fields[18] ?? ''),
      isReady: (Number(fields[6]) & OUT_OF_SERVICE) === 0,
      weight: Number(fields[7]),
    }))
    .toSorted((a, b) => compare(a.backend, b.backend) || indexOf(a) - indexOf(b))
}

/** `show map`: an internal reference, the key, the value. */
export function parseMap(text: string): Map<string, string> {
  const entries = text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words.length >= 3 && /^0x[0-9a-f]+$/.test(words[0] ?? ''))
  return new Map(entries.map((words) => [words[1] ?? '', words[2] ?? '']))
}

/**
 * Requests in flight by address, from `show stat`: every server's `scur`, summed. Upgraded connections count for as long as they
 * last; idle connections do not.
 */
export function parseSessions(text: string): Map<string, number> {
  const lines = text.split('\n')
  const header = lines.find((line) => line.startsWith('# '))
  const columns = header === undefined ? [] : header.slice(2).split(',')
  const [svname, scur, addr] = ['svname', 'scur', 'addr'].map((name) => columns.indexOf(name))
  const sessions = new Map<string, number>()
  if (svname === undefined || scur === undefined || addr === undefined || addr < 0) return sessions
  for (const line of lines) {
    const fields = line.split(',')
    const address = fields[addr]
    if (line.startsWith('#') || address === undefined || !APP_SLOT.test(fields[svname] ?? '')) continue
    sessions.set(address, (sessions.get(address) ?? 0) + Number(fields[scur]))
  }
  return sessions
}

function compare(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

function indexOf(slot: Slot): number {
  return Number(slot.name.slice(1))
}

function splitAddress(address: string): { host: string; port: string } {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: address.slice(at + 1) }
}

function joinAddress(host: string, port: string): string {
  if (host === '' || host === '-') return BLANK_ADDRESS
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
