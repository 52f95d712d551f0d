import { EventEmitter } from 'node:events'
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import type { LogLine } from '@croft/protocol'
import { SerialQueues } from '../converge/serial-queues.js'

/** What is kept of one app's output on this node; half of it in each of two files. */
export const DEFAULT_LOG_BUDGET_BYTES = 10 * 1024 * 1024
/** What nobody added to for this long is forgotten. */
export const MAX_LOG_AGE_MS = 30 * 24 * 60 * 60_000
/** A line longer than this is cut into several. */
export const MAX_LINE_BYTES = 10 * 1024

/** A kept line: what a reader gets, and where in which container's stream it ended, so that nothing is read twice. */
export interface KeptLine extends LogLine {
  handle: string
  /** Offset of the first byte after the line in its stream; absent for lines of our own. */
  end?: number
  /** A line of ours about output that was lost: in this stream, up to here. */
  lost?: { stream: 'stdout' | 'stderr'; end: number }
}

/**
 * The output of the apps of a node: JSON lines under `<folder>/<app id>/`, outliving the containers. The offset in each line
 * makes the file its own record of what has been taken over, so a killed executor neither loses nor repeats a line.
 */
export class LogStore {
  readonly #folder: string
  readonly #budgetBytes: number
  readonly #queues = new SerialQueues()
  readonly #lines = new EventEmitter<Record<string, [KeptLine]>>()
  readonly #sizes = new Map<string, number>()

  constructor(folder: string, budgetBytes = DEFAULT_LOG_BUDGET_BYTES) {
    this.#folder = folder
    this.#budgetBytes = budgetBytes
    this.#lines.setMaxListeners(0)
  }

  /** Appends lines of one app, then tells those who follow it. */
  append(appId: string, lines: readonly KeptLine[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve()
    return this.#queues.run(appId, async () => {
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
      const path = this.#path(appId, 'current')
      const bytes = Buffer.byteLength(text)
      let size = this.#sizes.get(appId) ?? (await mendEnd(path))
      this.#sizes.delete(appId) // until it is known what a failure has left
      if (size > 0 && size + bytes > this.#budgetBytes / 2) {
        await rename(path, this.#path(appId, 'previous'))
        size = 0
      }
      if (size === 0) await mkdir(join(this.#folder, appId), { recursive: true, mode: 0o700 })
      await appendFile(path, text, { mode: 0o600 })
      this.#sizes.set(appId, size + bytes)
      for (const line of lines) this.#lines.emit(appId, line)
    })
  }

  /** Every kept line of an app, oldest first. */
  async read(appId: string): Promise<KeptLine[]> {
    return await this.#queues.run(appId, async () => await this.#readAll(appId))
  }

  /** Where reading of a container's streams goes on: after the last lines that were kept. */
  async lastOffsets(appId: string, handle: string): Promise<{ stdout: number; stderr: number }> {
    const offsets = { stdout: 0, stderr: 0 }
    for (const line of await this.read(appId)) {
      if (line.handle !== handle) continue
      if (line.lost !== undefined) offsets[line.lost.stream] = line.lost.end
      else if (line.stream !== 'system') offsets[line.stream] = line.end ?? offsets[line.stream]
    }
    return offsets
  }

  /**
   * Every kept line of an app, and from the next line on `onLine` (null: none) until `signal` aborts: no line is in both, none in
   * neither.
   */
  async tail(appId: string, onLine: ((line: KeptLine) => void) | null, signal: AbortSignal): Promise<KeptLine[]> {
    return await this.#queues.run(appId, async () => {
      const lines = await this.#readAll(appId)
      if (onLine === null || signal.aborted) return lines
      this.#lines.on(appId, onLine)
      signal.addEventListener('abort', () => this.#lines.off(appId, onLine), { once: true })
      return lines
    })
  }

  /** Forgets apps that have said nothing for `maxAgeMs`; their instances are long gone, or have nothing to say. */
  async sweep(nowMs: number, maxAgeMs = MAX_LOG_AGE_MS): Promise<string[]> {
    const removed: string[] = []
    for (const appId of await foldersOf(this.#folder)) {
      await this.#queues.run(appId, async () => {
        const files = await Promise.all(
          (['previous', 'current'] as const).map((name) => stat(this.#path(appId, name)).catch(() => null)),
        )
        const newestMs = Math.max(...files.map((file) => file?.mtimeMs ?? 0))
        if (nowMs - newestMs < maxAgeMs) return
        this.#sizes.delete(appId)
        await rm(join(this.#folder, appId), { recursive: true, force: true })
        removed.push(appId)
      })
    }
    return removed
  }

  async #readAll(appId: string): Promise<KeptLine[]> {
    const names = ['previous', 'current'] as const
    const texts = await Promise.all(names.map(async (name) => await readText(this.#path(appId, name))))
    return texts.flatMap((text) => text.split('\n').flatMap(parseLine))
  }

  #path(appId: string, name: 'current' | 'previous'): string {
    return join(this.#folder, appId, `${name}.jsonl`)
  }
}

/** Where the newest `count` lines that have an end begin in a piece of a stream; what comes after them stays too. Pure. */
export function newestLinesAt(data: Buffer, count: number): number {
  let at = data.length
  for (let left = count; left >= 0; left -= 1) {
    const newline = at === 0 ? -1 : data.lastIndexOf(0x0a, at - 1)
    if (newline === -1) return 0
    at = newline
  }
  return at + 1
}

/**
 * Cuts a piece of a stream into lines, at most `maxLines`, with the offset after each; a last line without an end stays out unless
 * `isFinal`. Pure.
 */
export function cutLines(
  data: Buffer,
  offset: number,
  isFinal: boolean,
  maxLines = Number.POSITIVE_INFINITY,
): { text: string; end: number }[] {
  const lines: { text: string; end: number }[] = []
  let at = 0
  while (at < data.length && lines.length < maxLines) {
    const newline = data.indexOf(0x0a, at)
    const isWhole = newline !== -1 && newline - at <= MAX_LINE_BYTES
    if (!isWhole && data.length - at < MAX_LINE_BYTES && !isFinal) break
    const end = isWhole ? newline : Math.min(at + MAX_LINE_BYTES, newline === -1 ? data.length : newline)
    const next = isWhole ? newline + 1 : end
    lines.push({ text: data.toString('utf8', at, end).replace(/\r$/, ''), end: offset + next })
    at = next
  }
  return lines
}

/** The size of a file of lines; a last line that a crash or a full disk cut off is ended first, or the next would be lost with it. */
async function mendEnd(path: string): Promise<number> {
  let file: FileHandle
  try {
    file = await open(path, 'r+')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0
    throw error
  }
  try {
    const { size } = await file.stat()
    if (size === 0) return 0
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
    if (buffer[0] === 0x0a) return size
    await file.write('\n', size)
    return size + 1
  } finally {
    await file.close()
  }
}

async function foldersOf(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  }
}

function parseLine(text: string): KeptLine[] {
  if (text === '') return []
  try {
    return [JSON.parse(text) as KeptLine]
  } catch {
    return [] // the last line of a write that a crash cut off; its bytes are read again
  }
}
