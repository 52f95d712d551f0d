import { createConnection, type Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { failpoint, isBorrower, Lender, messageOf } from '@croft/kit'
import {
  AlreadyInUseError,
  ExecutableNotFoundError,
  GardenError,
  InvalidSpecError,
  ProcessNotFoundError,
  ServiceUnavailableError,
  UnrecoverableError,
  UserNotFoundError,
  type AttachFrom,
  type ProcessIo,
} from '@croft/garden-api'
import {
  attachFrame,
  FrameReader,
  helloFrame,
  networkFrame,
  resizeFrame,
  runFrame,
  RUN_FLAGS,
  SHIM_ERRORS,
  signalFrame,
  stdinHead,
  type RunningProcess,
  type RunRequest,
  type ShimExit,
  type ShimFrame,
} from './frames.js'

const CONNECT_TIMEOUT_MS = 5_000
/** A container at its memory or process limit may be slow; it must not hang its caller. */
const ANSWER_TIMEOUT_MS = 10_000
const STDIN_PIECE_BYTES = 65_536

/** The shim of a container does not answer: it is gone, or the container with it. */
export class ShimGoneError extends UnrecoverableError {}

/** One connection to a shim. */
class Connection {
  readonly #reader = new FrameReader()
  #onFrame: (frame: ShimFrame) => void = () => undefined
  #onEnd: (why: Error) => void = () => undefined
  #early: ShimFrame[] = []
  #ended: Error | undefined

  private constructor(
    readonly socket: Socket,
    /** Where what comes is only lent. */
    readonly lender: Lender | undefined,
  ) {
    socket.on('data', (chunk) => {
      try {
        for (const frame of this.#reader.push(chunk)) this.#onFrame(frame)
      } catch (error) {
        socket.destroy(error as Error)
      }
    })
    socket.on('error', (error) => {
      this.#ended ??= error
    })
    socket.on('close', () => {
      this.#ended ??= new Error('the shim closed the connection')
      this.#onEnd(this.#ended)
    })
    this.#onFrame = (frame) => this.#early.push(kept(frame))
  }

  static async open(path: string, mayLend = false): Promise<Connection> {
    return await new Promise((resolve, reject) => {
      const lender = mayLend ? new Lender({ path }) : undefined
      const socket = lender?.socket ?? createConnection(path)
      const fail = (error: Error): void => {
        clearTimeout(timer)
        socket.destroy()
        reject(new ShimGoneError('the container does not answer', error))
      }
      const timer = setTimeout(
        () => fail(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
        CONNECT_TIMEOUT_MS,
      )
      socket.once('error', fail)
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.off('error', fail)
        resolve(new Connection(socket, lender))
      })
    })
  }

  /** From now on frames and the end go here; what came before comes first. */
  listen(onFrame: (frame: ShimFrame) => void, onEnd: (why: Error) => void): void {
    this.#onFrame = onFrame
    this.#onEnd = onEnd
    for (const frame of this.#early.splice(0)) onFrame(frame)
    if (this.#ended !== undefined) onEnd(this.#ended)
  }
  /** Sends a request and waits for one frame; the next go to whoever listens then. */
  async ask(request: Buffer): Promise<ShimFrame> {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.socket.destroy()
        reject(new ServiceUnavailableError(`the container did not answer within ${ANSWER_TIMEOUT_MS} ms`))
      }, ANSWER_TIMEOUT_MS)
      this.listen(
        (frame) => {
          clearTimeout(timer)
          this.#onFrame = (later) => this.#early.push(kept(later))
          this.#onEnd = () => undefined
          resolve(frame)
        },
        (why) => {
          clearTimeout(timer)
          reject(new ShimGoneError('the container does not answer', why))
        },
      )
      this.socket.write(request)
    })
  }
}

/** A frame that outlives the chunk it came in. */
function kept(frame: ShimFrame): ShimFrame {
  return frame.type === 'output' ? { ...frame, data: Buffer.from(frame.data) } : frame
}

/** Turns an error frame into the container API's error. Pure. */
export function shimError(
  frame: { code: number; errno: number; text: string },
  about: { path: string; user: string; id: string; dir: string },
): GardenError {
  const ENOENT = 2
  const EACCES = 13
  switch (frame.code) {
    case SHIM_ERRORS.noProcess:
      return new ProcessNotFoundError(about.id)
    case SHIM_ERRORS.inUse:
      return new AlreadyInUseError(`process ID '${about.id}'`)
    case SHIM_ERRORS.exec:
      if (frame.errno === ENOENT) return new ExecutableNotFoundError(about.path)
      return new GardenError({
        code: 'executable-not-found',
        status: 422,
        type: 'ExecutableNotFoundError',
        title: frame.errno === EACCES ? `${about.path}: permission denied` : `${about.path}: ${frame.text}`,
      })
    case SHIM_ERRORS.user:
      return new UserNotFoundError(about.user)
    case SHIM_ERRORS.dir:
      return new InvalidSpecError(`working directory ${about.dir || 'of the user'}: ${frame.text}`)
    case SHIM_ERRORS.limit:
      return new ServiceUnavailableError(`the container has no room for another process: ${frame.text}`)
    case SHIM_ERRORS.bad:
      return new InvalidSpecError(frame.text)
    default:
      return new UnrecoverableError(`the container cannot start a process: ${frame.text}`)
  }
}

/** A process on the other side of a connection; the connection ends with the process. */
export class ShimProcess {
  readonly exit: Promise<ShimExit>
  #resolve!: (exit: ShimExit) => void
  #reject!: (error: Error) => void
  #exit: ShimExit | undefined

  constructor(
    private readonly connection: Connection,
    readonly pid: number,
    readonly startedAtMs: number,
    io: ProcessIo,
  ) {
    this.exit = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.exit.catch(() => undefined) // whoever waits hears of it
    connection.listen(
      (frame) => this.#take(frame, io),
      (why) => {
        if (this.#exit === undefined) this.#reject(new ShimGoneError('the container ended', why))
      },
    )
    if (io.stdin !== undefined) this.#feed(io.stdin)
  }

  /** From now on the connection keeps no program alive. */
  unref(): void {
    this.connection.socket.unref()
  }
  /** Lets go of the process; it runs on. */
  detach(): void {
    this.connection.socket.destroy()
  }

  #take(frame: ShimFrame, io: ProcessIo): void {
    if (frame.type === 'output') {
      failpoint('process-output')
      const to = frame.stream === 'stdout' ? io.stdout : io.stderr
      if (frame.droppedBytes > 0) io.onDropped?.(frame.stream, frame.droppedBytes)
      if (to === undefined || to.destroyed || to.writableEnded) return
      this.#give(frame.data, to)
      return
    }
    if (frame.type !== 'exit') return
    failpoint('process-exited')
    this.#exit = frame.exit
    this.connection.socket.destroy()
    this.#resolve(frame.exit)
  }
  #give(data: Buffer, to: Writable): void {
    const { lender } = this.connection
    if (lender === undefined) {
      if (!to.write(data)) this.#pauseFor(to)
    } else if (isBorrower(to)) lender.lend(data, to)
    else if (!to.write(Buffer.from(data))) this.#pauseFor(to)
  }
  #pauseFor(to: NodeJS.EventEmitter): void {
    const socket = this.connection.socket
    if (socket.isPaused()) return
    socket.pause()
    const go = (): void => {
      for (const event of ['drain', 'close', 'error']) to.off(event, go)
      socket.resume()
    }
    for (const event of ['drain', 'close', 'error']) to.on(event, go)
  }
  #feed(stdin: Readable): void {
    const socket = this.connection.socket
    /* not as one buffer: a copy of each piece would be most of the garbage there is */
    const send = (data: Buffer): boolean => {
      if (socket.destroyed) return true
      socket.cork()
      socket.write(stdinHead(data.length))
      const isRoom = socket.write(data)
      socket.uncork()
      return isRoom
    }
    const feed = (chunk: Buffer | string): void => {
      const data = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
      let isRoom = true
      for (let at = 0; at < data.length; at += STDIN_PIECE_BYTES)
        isRoom = send(data.subarray(at, at + STDIN_PIECE_BYTES)) && isRoom
      failpoint('process-fed')
      if (!isRoom) {
        stdin.pause()
        socket.once('drain', () => stdin.resume())
      }
    }
    stdin.on('data', feed)
    stdin.once('end', () => send(Buffer.alloc(0)))
    stdin.once('error', () => socket.destroy())
    socket.once('close', () => {
      stdin.off('data', feed)
      stdin.resume() // nobody reads it any more: let whoever writes it finish
    })
  }
}

/** A connection kept only to see the shim's end. */
export interface ShimWatch {
  /** What ran when it was opened. */
  processes: RunningProcess[]
  /** Resolves when the shim closes the connection or is gone; never after `close`. */
  ended: Promise<void>
  close(): void
}

/** Which streams a caller wants, as flags. */
export function flagsFor(io: ProcessIo): number {
  return (
    (io.stdin === undefined ? 0 : RUN_FLAGS.stdin) |
    (io.stdout === undefined ? 0 : RUN_FLAGS.stdout | RUN_FLAGS.lossless) |
    (io.stderr === undefined ? 0 : RUN_FLAGS.stderr | RUN_FLAGS.lossless)
  )
}

/** Talks to the shim of one container over its socket. */
export class ShimClient {
  constructor(readonly socketPath: string) {}

  /** @throws ShimGoneError */
  async hello(): Promise<{ initPid: number; processes: RunningProcess[] }> {
    const frame = await this.#once(helloFrame())
    if (frame.type !== 'processes') throw new ShimGoneError(`the shim answered ${frame.type} to a hello`)
    return frame
  }
  /** Keeps a connection, which keeps no program alive. @throws ShimGoneError */
  async watch(): Promise<ShimWatch> {
    const connection = await Connection.open(this.socketPath)
    connection.socket.unref()
    const frame = await connection.ask(helloFrame())
    if (frame.type !== 'processes') throw new ShimGoneError(`the shim answered ${frame.type} to a hello`)
    let isClosed = false
    const ended = new Promise<void>((resolve) => {
      connection.listen(
        () => undefined,
        () => {
          if (!isClosed) resolve()
        },
      )
    })
    const close = (): void => {
      isClosed = true
      connection.socket.destroy()
    }
    return { processes: frame.processes, ended, close }
  }
  /** @throws the error of a process that could not start */
  async run(request: RunRequest, io: ProcessIo): Promise<ShimProcess> {
    failpoint('process-asked')
    const dir = request.kind === 'exec' ? request.dir : request.path
    const process = await this.#begin(runFrame(request), { ...request, dir }, io)
    failpoint('process-started')
    return process
  }
  /** @throws ProcessNotFoundError when it has ended */
  async attach(id: string, io: ProcessIo, from: AttachFrom): Promise<ShimProcess> {
    return await this.#begin(attachFrame(id, flagsFor(io), from), { id, path: '', user: '', dir: '' }, io)
  }
  /** @throws ProcessNotFoundError */
  async signal(id: string, signal: number): Promise<void> {
    await this.#command(signalFrame(id, signal), id)
  }
  /** @throws ProcessNotFoundError */
  async resize(id: string, columns: number, rows: number): Promise<void> {
    await this.#command(resizeFrame(id, columns, rows), id)
  }

  /** Sets up the container's end of its pair. @throws UnrecoverableError when the kernel refuses */
  async network(address: string, gateway: string): Promise<void> {
    await this.#command(networkFrame(address, gateway), 'network')
  }

  async #begin(
    frame: Buffer,
    about: { path: string; user: string; id: string; dir: string },
    io: ProcessIo,
  ): Promise<ShimProcess> {
    const connection = await Connection.open(this.socketPath, [io.stdout, io.stderr].some(isBorrower))
    const answer = await connection.ask(frame)
    if (answer.type === 'started') return new ShimProcess(connection, answer.pid, answer.startedAtMs, io)
    connection.socket.destroy()
    if (answer.type === 'error') throw shimError(answer, about)
    throw new UnrecoverableError(`the shim answered ${answer.type} to a start`)
  }
  async #command(frame: Buffer, id: string): Promise<void> {
    const answer = await this.#once(frame)
    if (answer.type === 'error') throw shimError(answer, { path: '', user: '', dir: '', id })
    if (answer.type !== 'ok') throw new UnrecoverableError(`the shim answered ${answer.type} to a command`)
  }
  async #once(frame: Buffer): Promise<ShimFrame> {
    const connection = await Connection.open(this.socketPath)
    try {
      return await connection.ask(frame)
    } catch (error) {
      if (error instanceof GardenError) throw error
      throw new ShimGoneError(messageOf(error), error)
    } finally {
      connection.socket.destroy()
    }
  }
}
