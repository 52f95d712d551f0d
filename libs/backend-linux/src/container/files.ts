import { randomUUID } from 'node:crypto'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { messageOf } from '@croft/kit'
import { GardenError, refuse, StreamError, type ProcessIo } from '@croft/garden-api'
import { processProblem } from '../containerizer/validate.js'
import { ShimGoneError, flagsFor, type ShimProcess } from '../shim/client.js'
import type { RunRequest } from '../shim/frames.js'

const MAX_ERROR_BYTES = 4096
/** What of an archive may wait here for its reader. */
const WAITING_BYTES = 1024 * 1024

/** Starts a tar in the container and talks to it. */
export type StartTar = (request: TarRequest, io: ProcessIo) => Promise<ShimProcess>
export type TarRequest = Pick<RunRequest, 'id' | 'user' | 'path' | 'flags' | 'args'> & { kind: 'tar-in' | 'tar-out' }

/** How much one archive may hold, either way. */
export interface StreamLimits {
  bytes: number
  entries: number
}

interface Place {
  user: string
  path: string
}

/** Unpacks an archive below a path, as a user. @throws StreamError */
export async function streamIn(
  startTar: StartTar,
  options: Place & { tar: Readable },
  limits: StreamLimits,
): Promise<void> {
  const errors = new Tail(MAX_ERROR_BYTES)
  const io = { stdin: options.tar, stderr: errors.writable }
  const process = await startStream(startTar, 'tar-in', options, io, limits)
  const failed = new Promise<never>((_resolve, reject) => {
    options.tar.once('error', (error) => reject(new StreamError('in', messageOf(error))))
    options.tar.once('close', () => {
      if (!options.tar.readableEnded) reject(new StreamError('in', 'the archive ended early'))
    })
  })
  try {
    const exit = await Promise.race([process.exit, failed])
    if (exit.exitCode !== 0) throw tarError('in', errors.text(), exit.exitCode)
  } catch (error) {
    throw error instanceof ShimGoneError ? new StreamError('in', messageOf(error)) : error
  } finally {
    process.detach()
    failed.catch(() => undefined)
  }
}

/** An archive of a path, read as a user; a failure destroys the stream with StreamError. */
export async function streamOut(startTar: StartTar, options: Place, limits: StreamLimits): Promise<Readable> {
  const errors = new Tail(MAX_ERROR_BYTES)
  const out = new PassThrough({ highWaterMark: WAITING_BYTES })
  const process = await startStream(startTar, 'tar-out', options, { stdout: out, stderr: errors.writable }, limits)
  out.once('close', () => process.detach())
  process.exit.then(
    (exit) => {
      if (exit.exitCode === 0) out.end()
      else out.destroy(tarError('out', errors.text(), exit.exitCode))
    },
    (error: unknown) => out.destroy(new StreamError('out', messageOf(error))),
  )
  return out
}

async function startStream(
  startTar: StartTar,
  kind: TarRequest['kind'],
  { user, path }: Place,
  io: ProcessIo,
  limits: StreamLimits,
): Promise<ShimProcess> {
  refuse(processProblem({ path, user }))
  const args = [String(limits.bytes), String(limits.entries)]
  try {
    return await startTar({ kind, id: randomUUID(), user, path, args, flags: flagsFor(io) }, io)
  } catch (error) {
    if (error instanceof GardenError && ['invalid-spec', 'user-not-found'].includes(error.code))
      throw new StreamError(kind === 'tar-in' ? 'in' : 'out', error.message)
    throw error
  }
}

/** What went wrong, out of the archiver's own words; too much of something is told by the field's name. Pure. */
export function tarError(direction: 'in' | 'out', said: string, exitCode: number): StreamError {
  const exceeded = /^tar: more than \d+ (bytes|entries)$/m.exec(said)?.[1]
  const fields = exceeded === undefined ? undefined : { [exceeded]: said.replace(/^tar: /, '') }
  return new StreamError(direction, said || `ended with ${exitCode}`, fields)
}

/** Keeps the first bytes of what is written to it. */
class Tail {
  readonly #parts: Buffer[] = []
  #size = 0
  readonly writable: Writable

  constructor(limit: number) {
    const stream = new PassThrough()
    stream.on('data', (chunk: Buffer) => {
      if (this.#size >= limit) return
      this.#parts.push(chunk)
      this.#size += chunk.length
    })
    this.writable = stream
  }
  text(): string {
    return Buffer.concat(this.#parts).toString().trim()
  }
}
