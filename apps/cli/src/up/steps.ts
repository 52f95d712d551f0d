import { paint } from '../output.js'

const FRAMES = ['|', '/', '-', '\\']
const FRAME_MS = 100
const WORTH_A_LINE_MS = 300

/**
 * Shows work in steps, each with a line and its time when it is done, in the order they end. Steps may run side by side; a
 * terminal shows those under way on one moving line, a pipe gets only the lines.
 */
export class Steps {
  readonly #running = new Map<string, number>()
  readonly #out: NodeJS.WriteStream
  #timer: NodeJS.Timeout | undefined
  #frame = 0

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out
  }

  /** Runs one step; `text` may be replaced by what it answers with `say`. A failing step leaves no line. */
  async run<T>(text: string, work: (say: (done: string) => void) => Promise<T>): Promise<T> {
    const started = performance.now()
    let line: string | undefined = text
    this.#running.set(text, started)
    this.#show()
    try {
      const result = await work((done) => {
        line = done === '' ? undefined : done
      })
      this.#clear()
      if (line !== undefined) this.line(line, performance.now() - started)
      return result
    } finally {
      this.#clear()
      this.#running.delete(text)
      if (this.#running.size === 0) clearInterval(this.#timer)
      if (this.#running.size === 0) this.#timer = undefined
    }
  }

  /** Runs a step that is worth a line only when there was something to do. */
  quick<T>(text: string, work: () => Promise<T>): Promise<T> {
    return this.run(text, async (say) => {
      const started = performance.now()
      const result = await work()
      if (performance.now() - started < WORTH_A_LINE_MS) say('')
      return result
    })
  }

  /** A step that somebody else did. */
  line(text: string, ms: number): void {
    this.#clear()
    this.#out.write(
      `${paint('cyan', '----->', this.#out)} ${text.padEnd(54)} ${`${(ms / 1000).toFixed(1)} s`.padStart(8)}\n`,
    )
  }

  #show(): void {
    if (!this.#out.isTTY || this.#timer !== undefined) return
    this.#timer = setInterval(() => {
      const now = performance.now()
      const text = [...this.#running].map(([name, since]) => `${name} ${Math.round((now - since) / 1000)} s`).join(', ')
      this.#clear()
      this.#out.write(`  ${FRAMES[this.#frame++ % FRAMES.length]}    ${text.slice(0, this.#out.columns - 8)}`)
    }, FRAME_MS)
  }

  #clear(): void {
    if (this.#out.isTTY) this.#out.write('\r\u001B[K')
  }
}
