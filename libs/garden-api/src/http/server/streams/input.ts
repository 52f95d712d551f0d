import type { Socket } from 'node:net'
import type { PassThrough } from 'node:stream'
import { messageOf } from '@croft/kit'
import type { Process } from '../../../backend.js'
import { decodeInput, JsonLines, payloads, type InputFrame } from '../../codec/payload.js'

/** A frame of standard input is as long as the client's pieces; nobody sends this much in one. */
const MAX_LINE_BYTES = 32 * 1024 * 1024

export interface InputOptions {
  socket: Socket
  early: Buffer
  process: Process
  /** Standard input, opened when the first of it comes. */
  stdin: () => Promise<PassThrough | null>
  say: (payload: object) => void
  /** What cannot be read as frames at all. */
  onBroken: (error: Error) => void
}

/** Reads what the client sends on the control connection, to the end of the connection: signals and sizes come after stdin, too. */
export function readInput(options: InputOptions): void {
  const { socket, process, say } = options
  const lines = new JsonLines(MAX_LINE_BYTES)
  let queue = Promise.resolve()
  const take = (data: Buffer): void => {
    let found: unknown[]
    try {
      found = lines.push(data)
    } catch (error) {
      return options.onBroken(error as Error)
    }
    if (found.length === 0) return
    socket.pause() // until these are through, so that a process that does not read slows its client down
    queue = queue.then(async () => {
      for (const line of found) await obey(line)
      socket.resume()
    })
  }
  const obey = async (line: unknown): Promise<void> => {
    try {
      if (line instanceof Error) throw line
      await apply(decodeInput(line), process, options.stdin)
    } catch (error) {
      say(payloads.refused(process.id, messageOf(error)))
    }
  }
  socket.on('data', take)
  if (options.early.length > 0) take(options.early)
}

async function apply(frame: InputFrame, process: Process, stdin: InputOptions['stdin']): Promise<void> {
  switch (frame.kind) {
    case 'stdin': {
      const to = await stdin()
      if (to !== null && to.writable && !to.write(frame.data)) await drained(to)
      return
    }
    case 'stdin-end':
      return void (await stdin())?.end()
    case 'resize':
      return await process.resize(frame.columns, frame.rows)
    case 'signal':
      return await process.signal(frame.signal)
    case 'nothing':
  }
}

async function drained(stream: PassThrough): Promise<void> {
  await new Promise<void>((resolve) => {
    const go = (): void => {
      stream.off('drain', go).off('close', go)
      resolve()
    }
    stream.on('drain', go).on('close', go)
  })
}
