import { appendFile, mkdir, open, readFile, stat } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { errnoOf, type BuildId, type Clock } from '@croft/kit'
import type { ControllerConfig } from '../config.js'
import { CLOCK, CONFIG } from '../tokens.js'

/** A longer log is cut with a marker. */
const MAX_LOG_BYTES = 10 * 1024 * 1024
const MAX_LINE_CHARS = 10_000
/** How often somebody who follows looks by himself, ms; a new line wakes him at once. */
const LOOK_EVERY_MS = 1_000
const CUT = '... the log is cut here: it is longer than 10 MB\n'

interface Live {
  decoder: StringDecoder
  /** The line that has no end yet. */
  partial: string
  bytes: number
  isCut: boolean
  writing: Promise<void>
  listeners: Set<(line: string) => void>
}

/** The text of builds: a file each, and lines as they come for whoever waits. Writer: build. */
@Injectable()
export class BuildLog implements OnModuleInit {
  readonly #folder: string
  readonly #live = new Map<BuildId, Live>()

  constructor(
    @Inject(CONFIG) config: ControllerConfig,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.#folder = `${config.home}/controller/build-logs`
  }

  async onModuleInit(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
  }

  /** Appends what a build said. Control characters but tab, newline and colours are dropped. */
  append(buildId: BuildId, chunk: Buffer): Promise<void> {
    const live = this.#liveOf(buildId)
    live.writing = live.writing.then(async () => {
      await this.#restore(buildId, live)
      await this.#write(buildId, live, live.decoder.write(chunk))
    })
    return live.writing
  }

  /** Ends the line that has no end yet, and forgets what is only needed while a build runs. */
  async close(buildId: BuildId): Promise<void> {
    const live = this.#live.get(buildId)
    if (live === undefined) return
    live.writing = live.writing.then(() => {
      const last = live.partial
      return last === '' ? undefined : this.#write(buildId, live, '\n')
    })
    await live.writing
    this.#live.delete(buildId)
  }

  /** Every line from now on; gives the function that ends it. */
  follow(buildId: BuildId, onLine: (line: string) => void): () => void {
    const { listeners } = this.#liveOf(buildId)
    listeners.add(onLine)
    return () => {
      listeners.delete(onLine)
      const live = this.#live.get(buildId)
      if (live?.bytes === -1 && live.listeners.size === 0) this.#live.delete(buildId) // it never said anything
    }
  }

  /** Resolves when everything appended so far is on disk and was heard. */
  async settled(buildId: BuildId): Promise<void> {
    await this.#live.get(buildId)?.writing
  }

  /** All of it; empty when there is none. */
  async read(buildId: BuildId): Promise<string> {
    try {
      return await readFile(this.#pathOf(buildId), 'utf8')
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return ''
      throw error
    }
  }

  /** The text from its beginning as it comes, until `isOver` says that nothing more will, or until `signal`. */
  async *tail(buildId: BuildId, isOver: () => Promise<boolean>, signal: AbortSignal): AsyncGenerator<Buffer> {
    let wake = (): void => undefined
    const unfollow = this.follow(buildId, () => wake())
    try {
      for (let at = 0; ;) {
        const woken = new Promise<void>((resolve) => (wake = resolve))
        const isLast = await isOver()
        await this.settled(buildId)
        for await (const chunk of this.#readFrom(buildId, at)) {
          at += chunk.length
          yield chunk
        }
        if (isLast) return
        await Promise.race([woken, this.clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)])
      }
    } finally {
      unfollow()
    }
  }

  async *#readFrom(buildId: BuildId, at: number): AsyncGenerator<Buffer> {
    const file = await open(this.#pathOf(buildId)).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return null
      throw error
    })
    if (file !== null) yield* file.createReadStream({ start: at }) as AsyncIterable<Buffer>
  }

  #pathOf(buildId: BuildId): string {
    if (!/^[0-9a-f-]{36}$/.test(buildId)) throw new RangeError('not a build id')
    return `${this.#folder}/${buildId}.log`
  }

  #liveOf(buildId: BuildId): Live {
    const known = this.#live.get(buildId)
    if (known !== undefined) return known
    const live: Live = {
      decoder: new StringDecoder('utf8'),
      partial: '',
      bytes: -1,
      isCut: false,
      writing: Promise.resolve(),
      listeners: new Set(),
    }
    this.#live.set(buildId, live)
    return live
  }

  /** After a restart of the controller a build goes on where its file ends. */
  async #restore(buildId: BuildId, live: Live): Promise<void> {
    if (live.bytes >= 0) return
    live.bytes = await stat(this.#pathOf(buildId)).then(
      (info) => info.size,
      () => 0,
    )
    live.isCut = live.bytes >= MAX_LOG_BYTES
  }

  async #write(buildId: BuildId, live: Live, text: string): Promise<void> {
    const lines = (live.partial + text).split('\n')
    live.partial = (lines.pop() ?? '').slice(0, MAX_LINE_CHARS)
    if (lines.length === 0 || live.isCut) return
    const clean = lines.map(cleanLine)
    let block = clean.map((line) => `${line}\n`).join('')
    if (live.bytes + Buffer.byteLength(block) > MAX_LOG_BYTES) {
      live.isCut = true
      block = CUT
      clean.splice(0, clean.length, CUT.trimEnd())
    }
    live.bytes += Buffer.byteLength(block)
    await appendFile(this.#pathOf(buildId), block, { mode: 0o600 })
    for (const line of clean) for (const listener of live.listeners) listener(line)
  }
}

/** What is left of a line a program overwrote with carriage returns, without control characters but tab and colours. */
export function cleanLine(line: string): string {
  const shown = line.replace(/\r+$/, '').split('\r').at(-1) ?? ''
  return (
    shown
      .slice(0, MAX_LINE_CHARS)
      // oxlint-disable-next-line no-control-regex
      .replace(/\u001b(?!\[[0-9;]*m)(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.)?/g, '')
      // oxlint-disable-next-line no-control-regex
      .replace(/[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f]/g, '')
  )
}
