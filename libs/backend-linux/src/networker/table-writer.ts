import { run, type Logger } from '@croft/kit'
import { NFT, ResidentTool, ToolGoneError } from './resident-tool.js'

const COMMAND_TIMEOUT_MS = 10_000
/** A longer text goes to an nft of its own: the resident one reads a line at a time, as a person would type it. */
const MAX_LINE_BYTES = 16 * 1024
/** So often in a row it may be gone before we do without. */
const MAX_GONE = 3

interface Change {
  text: string
  resolve: () => void
  reject: (error: unknown) => void
}

/** Carries out changes of the nft tables one transaction after the other; what has gathered meanwhile goes together. */
export class TableWriter {
  readonly #tool: ResidentTool
  #gathered: Change[] = []
  #isBusy = false
  #gone = 0

  constructor(private readonly logger: Logger) {
    this.#tool = new ResidentTool(NFT, { onRemark: (text) => logger.warn('nft-says', { text }) })
  }

  /** Carries out statements, all or none. @throws CommandFailed with nft's own words */
  async apply(text: string): Promise<void> {
    if (text === '') return
    await new Promise<void>((resolve, reject) => {
      this.#gathered.push({ text, resolve, reject })
      if (!this.#isBusy) void this.#work()
    })
  }

  close(): void {
    this.#tool.close()
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    this.#isBusy = true
    while (this.#gathered.length > 0) {
      const changes = this.#gathered.splice(0)
      try {
        await this.#write(changes.map(({ text }) => text).join(''))
        for (const { resolve } of changes) resolve()
      } catch (error) {
        if (changes.length === 1) changes[0]?.reject(error)
        else for (const change of changes) await this.#write(change.text).then(change.resolve, change.reject)
      }
    }
    this.#isBusy = false
  }

  async #write(text: string): Promise<void> {
    if (this.#gone < MAX_GONE && Buffer.byteLength(text) <= MAX_LINE_BYTES && !text.includes('{\n')) {
      try {
        await this.#tool.do(text.trimEnd().replaceAll('\n', '; '))
        this.#gone = 0
        return
      } catch (error) {
        if (!(error instanceof ToolGoneError)) throw error
        this.#gone += 1
        this.logger.warn('nft-gone', { why: error.message })
      }
    }
    await nft(text)
  }
}

/** Runs nft statements in one transaction, in a process of their own. */
export async function nft(text: string): Promise<void> {
  await run('nft', ['-f', '-'], { input: text, timeoutMs: COMMAND_TIMEOUT_MS })
}
