import { EventEmitter } from 'node:events'
import { appendFile, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import type { LogLine } from '@croft/protocol'
import { SerialQueues } from '../converge/serial-queues.js'

/** What is kept of one app's output on this node; half of it in each of two files. */
export const DEFAULT_LOG_BUDGET_BYTES = 10 * 1024 * 1024
/** A line longer than this is cut into several. */
export const MAX_LINE_BYTES = 10 * 1024

/** A kept line: what a reader gets, and where in which container's stream it ended, so that nothing is read twice. */
export interface KeptLine extends LogLine {
  handle: string
  /** Offset of the first byte after the line in its stream; absent for lines of our own. */
  end?: number
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
      let size = this.#sizes.get(appId) ?? (await sizeOf(path))
      if (size > 0 && size + text.length > this.#budgetBytes / 2) {
        await rename(path, this.#path(appId, 'previous'))
        size = 0
      }
      if (size === 0) await mkdir(join(this.#folder, appId), { recursive: true, mode: 0o700 })
      await appendFile(path, text, { mode: 0o600 })
      this.#sizes.set(appId, size + Buffer.byteLength(text))
      for (const line of lines) this.#lines.emit(appId, line)
    })
  }

  /** Every kept line of an app, oldest first. */
  async read(appId: string): Promise<KeptLine[]> {
    return await this.#queues.run(appId, async () => {
      const texts = await Promise.all(
        (['previous', 'current'] as const).map((name) => readText(this.#path(appId, name))),
      )
      return texts.flatMap((text) => text.split('\n').flatMap(parseLine))
    })
  }

  /** Where reading of a container's stream goes on: after the last line that was kept. */
  async lastOffset(appId: string, handle: string, stream: 'stdout' | 'stderr'): Promise<number> {
    const lines = await this.read(appId)
    return lines.findLast((line) => line.handle === handle && line.stream === stream)?.end ?? 0
  }

  /** Calls back for each line appended from now on; the result ends it. */
  follow(appId: string, onLine: (line: KeptLine) => void): () => void {
    this.#lines.on(appId, onLine)
    return () => this.#lines.off(appId, onLine)
  }

  /** Forgets an app. */
  async remove(appId: string): Promise<void> {
    await this.#queues.run(appId, async () => {
      this.#sizes.delete(appId)
      await rm(join(this.#folder, appId), { recursive: true, force: true })
    })
  }

  #path(appId: string, name: 'current' | 'previous'): string {
    return join(this.#folder, appId, `${name}.jsonl`)
  }
}

/** Cuts a piece of a stream into lines with the offset after each; a last line without an end stays out unless `isFinal`. Pure. */
export function cutLines(data: Buffer, offset: number, isFinal: boolean): { text: string; end: number }[] {
  const lines: { text: string; end: number }[] = []
  let at = 0
  while (at < data.length) {
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

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0
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
