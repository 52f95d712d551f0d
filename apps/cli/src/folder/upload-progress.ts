/** How far an upload is, on a terminal's one line; elsewhere nothing, for a log wants no progress. */

const EVERY_MS = 200

export class UploadProgress {
  #shownAt = 0
  #isShown = false

  constructor(
    private readonly total: number,
    private readonly stream: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stderr,
    private readonly now: () => number = () => performance.now(),
  ) {}

  sent(bytes: number): void {
    if (!this.stream.isTTY || this.now() - this.#shownAt < EVERY_MS) return
    this.#shownAt = this.now()
    this.#isShown = true
    this.stream.write(`\r       ${size(bytes)} of ${size(this.total)} sent `)
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isShown) this.stream.write('\r\u001b[K')
    this.#isShown = false
  }
}

/** `41 kB`, `3.2 MB`. Pure. */
export function size(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}
