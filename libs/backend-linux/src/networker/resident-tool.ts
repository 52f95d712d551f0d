import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { CommandFailed, start } from '@croft/kit'

/** How to talk to a command line tool that reads its commands from standard input, one a line. */
export interface ToolDialect {
  command: string
  args: readonly string[]
  /** A command the tool does not know, so that it complains about it once everything before is done. */
  markOf(number: number): string
  /** The complaint, whole, as it stands on standard error. */
  complaintOf(mark: string): RegExp
  /** What it says of a command that it refused; anything else is a remark about one it did. */
  refusal: RegExp
}

/** `nft -i`: a line is one transaction. */
export const NFT: ToolDialect = {
  command: 'nft',
  args: ['-i'],
  markOf: (number) => `croft_mark_${number}`,
  complaintOf: (mark) => new RegExp(`^Error: syntax error[^\\n]*\\n${mark}\\n\\s*\\^+\\n`, 'm'),
  refusal: /(^|: )Error: /m,
}

/** `ip -force -batch -`: each command by itself, the rest of the lines even when one fails. */
export const IP: ToolDialect = {
  command: 'ip',
  args: ['-force', '-batch', '-'],
  markOf: (number) => `croft-mark-${number}`,
  complaintOf: (mark) => new RegExp(`^Object "${mark}" is unknown[^\\n]*\\nCommand failed [^\\n]*\\n`, 'm'),
  refusal: /^Command failed /m,
}

/** The tool is not there, ended, or did not answer: nothing is known of what it did. */
export class ToolGoneError extends Error {}

interface Waiting {
  mark: string
  resolve(): void
  reject(error: Error): void
  timer: NodeJS.Timeout
}

const ANSWER_TIMEOUT_MS = 10_000
/** The tools keep a history of their lines, and nobody needs one that waits: a new one is started after that. */
const MAX_COMMANDS = 1000
const IDLE_MS = 15_000
const MAX_COMPLAINT_BYTES = 64 * 1024

/**
 * A tool that stays, so that a command costs neither its start nor its end (nft's own end waits 9 ms for the kernel to forget what
 * was deleted). Whether a command is done and what is wrong with it is read from standard error: after each one the tool gets
 * a word it does not know, and what it says before complaining about that is about the command.
 */
export class ResidentTool {
  #child: ChildProcess | undefined
  #said = ''
  #count = 0
  #idle: NodeJS.Timeout | undefined
  readonly #waiting: Waiting[] = []
  readonly #names = new Set<string>()

  constructor(
    private readonly dialect: ToolDialect,
    private readonly options: { answerTimeoutMs?: number; onRemark?: (text: string) => void } = {},
  ) {}

  /**
   * Has lines carried out, in the order of the calls.
   * @throws CommandFailed when the tool refuses one; ToolGoneError when it may or may not have done them
   */
  async do(lines: string): Promise<void> {
    clearTimeout(this.#idle)
    const child = this.#child ?? this.#start()
    const mark = this.dialect.markOf(++this.#count)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#end(child, 'it does not answer'),
        this.options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS,
      )
      this.#waiting.push({ mark, resolve, reject, timer })
      child.stdin?.write(`${lines.trimEnd()}\n${mark}\n`)
    }).finally(() => this.#rest())
  }

  /**
   * Whether a name is new to the running tool, which hears of it by the next command: ip(8) remembers which device a name stood
   * for, and would look for that one although it has gone and another has the name.
   */
  isNew(name: string): boolean {
    if (this.#child === undefined) this.#start()
    if (this.#names.has(name)) return false
    this.#names.add(name)
    return true
  }

  /** Lets the tool go; commands under way are answered first only if they are done. */
  close(): void {
    clearTimeout(this.#idle)
    if (this.#child !== undefined) this.#end(this.#child, 'it was closed')
  }

  #start(): ChildProcess {
    const child = start(this.dialect.command, this.dialect.args, { stdio: ['pipe', 'ignore', 'pipe'] })
    this.#child = child
    this.#said = ''
    this.#count = 0
    this.#names.clear()
    child.on('error', (error) => this.#end(child, error.message))
    child.on('exit', () => this.#end(child, 'it ended'))
    child.stdin?.on('error', () => undefined) // its end says it too
    child.stderr?.on('data', (chunk: Buffer) => this.#hear(child, chunk.toString()))
    /* what keeps this process is a command under way, by its timer */
    child.unref()
    for (const stream of [child.stdin, child.stderr]) (stream as Socket | null)?.unref()
    return child
  }

  #hear(child: ChildProcess, text: string): void {
    if (child !== this.#child) return
    this.#said += text
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const complaint = this.dialect.complaintOf(first.mark).exec(this.#said)
      if (complaint === null) break
      const about = this.#said.slice(0, complaint.index).trim()
      this.#said = this.#said.slice(complaint.index + complaint[0].length)
      this.#waiting.shift()
      clearTimeout(first.timer)
      if (!this.dialect.refusal.test(about)) {
        if (about !== '') this.options.onRemark?.(about)
        first.resolve()
      } else first.reject(new CommandFailed(this.dialect.command, this.dialect.args, 1, null, about))
    }
    if (this.#said.length > MAX_COMPLAINT_BYTES) this.#end(child, 'it says too much')
  }

  /** Nothing under way: keep it for a while. */
  #rest(): void {
    const child = this.#child
    if (child === undefined || this.#waiting.length > 0) return
    if (this.#count >= MAX_COMMANDS) return this.#end(child, 'it is old')
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.#end(child, 'it is idle'), IDLE_MS).unref()
  }

  #end(child: ChildProcess, why: string): void {
    if (child !== this.#child) return
    this.#child = undefined
    for (const waiting of this.#waiting.splice(0)) {
      clearTimeout(waiting.timer)
      waiting.reject(new ToolGoneError(`${this.dialect.command}: ${why}`))
    }
    child.kill('SIGKILL')
  }
}
