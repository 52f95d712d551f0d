import { createHash } from 'node:crypto'
import type { Container } from '../../backend.js'
import { GardenError, InvalidSpecError } from '../../errors.js'
import type { ContainerSpec, MappedPort, NetIn, ProcessSpec } from '../../types.js'
import type { Call } from './call.js'
import { internalKey } from './properties.js'

/**
 * `Idempotency-Key` on create, run and net/in: the same key with the same request is answered as the first time, with another
 * request it is a conflict. What is remembered lies with the container, so that it outlives the server and ends with the
 * container: a key is free again when its container is destroyed.
 */

const KEY = /^[\x21-\x7e]{1,255}$/
const CREATE_KEY = internalKey('create-key')
const CREATE_SPEC = internalKey('create-spec')

/** @throws InvalidSpecError */
function keyOf({ req }: Call): string | null {
  const key = req.headers['idempotency-key']
  if (key === undefined) return null
  if (typeof key !== 'string' || !KEY.test(key))
    throw new InvalidSpecError('the idempotency key is not 1 to 255 visible characters', {
      'Idempotency-Key': 'must be 1 to 255 visible characters',
    })
  return hash(key)
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32)

/** The same for specs that ask for the same. */
function fingerprint(value: unknown): string {
  const sorted = JSON.stringify(value, (_name, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  )
  return hash(sorted)
}

function conflict(): GardenError {
  return new GardenError({
    code: 'idempotency-conflict',
    status: 409,
    title: 'the idempotency key was used for another request',
    suggestion: 'Use a new key for a new request',
  })
}

/** One at a time for each key, so that a retry that overtakes its first try waits for it. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  async take<T>(key: string, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const mine = before.then(act, act)
    this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}

/** Without a key, a client that goes away takes its unfinished container along. */
export async function createOnce(call: Call, spec: ContainerSpec): Promise<string> {
  const { backend, context } = call
  const key = keyOf(call)
  if (key === null) return (await backend.create(spec, call.signal)).handle
  return await context.turns.take(`create ${key}`, async () => {
    const print = fingerprint(spec)
    const [made] = await backend.containers({ [CREATE_KEY]: key })
    if (made !== undefined) {
      if ((await made.properties())[CREATE_SPEC] !== print) throw conflict()
      return made.handle
    }
    const properties = { ...spec.properties, [CREATE_KEY]: key, [CREATE_SPEC]: print }
    return (await backend.create({ ...spec, properties })).handle
  })
}

/** How a run with a key goes: under which id, or that a process was started under it before. */
export type RunTurn = { kind: 'run'; spec: ProcessSpec } | { kind: 'join'; processId: string }

/**
 * A process without an id of the client's gets one made of key and spec; one with an id is remembered by this server only,
 * and after a restart its id is refused as in use.
 */
export async function runOnce<T>(
  call: Call,
  container: Container,
  spec: ProcessSpec,
  act: (turn: RunTurn) => Promise<T>,
): Promise<T> {
  const key = keyOf(call)
  if (key === null) return await act({ kind: 'run', spec })
  const { turns, runs } = call.context
  const name = `run ${container.handle} ${key}`
  return await turns.take(name, async () => {
    const print = fingerprint(spec)
    const id = spec.id ?? `k-${key}-${print}`
    const ids = (await container.processes()).map((process) => process.id)
    const other = ids.find((one) => one.startsWith(`k-${key}-`) && one !== id)
    const known = runs.get(name)
    if (other !== undefined || (known !== undefined && known !== print)) throw conflict()
    if (ids.includes(id) && (spec.id === undefined || known === print))
      return await act({ kind: 'join', processId: id })
    const done = await act({ kind: 'run', spec: { ...spec, id } })
    runs.set(name, print)
    return done
  })
}

export async function netInOnce(call: Call, container: Container, ports: NetIn): Promise<MappedPort> {
  const key = keyOf(call)
  if (key === null) return await container.netIn(ports)
  return await call.context.turns.take(`net-in ${container.handle} ${key}`, async () => {
    const name = internalKey(`net-in.${key}`)
    const print = fingerprint(ports)
    const [usedFor, hostPort, containerPort] = (await container.properties())[name]?.split(' ') ?? []
    if (usedFor !== undefined && usedFor !== print) throw conflict()
    if (usedFor !== undefined) return { hostPort: Number(hostPort), containerPort: Number(containerPort) }
    const mapped = await container.netIn(ports)
    await container.setProperty(name, `${print} ${mapped.hostPort} ${mapped.containerPort}`)
    return mapped
  })
}
