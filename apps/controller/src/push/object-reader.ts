import { startGit, type GitProcess } from './git.js'

const TIMEOUT_MS = 60_000
/** What `SizeReader` is told of an object. */
const OBJECT = /^([0-9a-f]{40,64}) (\d+)$/
const MAX_OBJECT_BYTES = 2 * 1024 * 1024

/** One `git cat-file`. To start it takes as long as to be answered, so it may be started before it is known what to ask. */
abstract class CatFile {
  protected readonly child: GitProcess
  protected readonly chunks: AsyncIterator<Buffer>
  readonly #timer: NodeJS.Timeout

  constructor(repository: string, how: readonly string[], env: Record<string, string>) {
    this.child = startGit(repository, ['cat-file', ...how], env)
    this.#timer = setTimeout(() => this.child.kill('SIGKILL'), TIMEOUT_MS)
    this.child.on('error', () => undefined) // the stream ends early, which is the failure
    this.child.stdin?.on('error', () => undefined)
    this.child.stderr?.resume()
    this.chunks = (this.child.stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.child.kill('SIGKILL')
  }
}

/** Reads small objects, one after the other; ask again only when the last answer is complete. For large ones see `SourceTar`. */
export class ObjectReader extends CatFile {
  #pending: Buffer = Buffer.alloc(0)

  constructor(repository: string, env: Record<string, string> = {}) {
    super(repository, ['--batch'], env)
  }

  /** In their order. @throws Error when an object is missing or larger than 2 MiB. */
  async read<T extends { objectId: string }>(
    wanted: readonly T[],
    onObject: (wanted: T, bytes: Buffer) => void,
  ): Promise<void> {
    if (wanted.length === 0) return
    this.child.stdin?.write(namesOf(wanted))
    for (const [index, object] of wanted.entries()) {
      const bytes = await this.#next()
      if (bytes === undefined) throw new Error(`git cat-file gave ${index} of ${wanted.length} objects`)
      onObject(object, bytes)
    }
  }

  async #next(): Promise<Buffer | undefined> {
    for (;;) {
      const parsed = takeObject(this.#pending)
      if (parsed !== undefined) {
        this.#pending = parsed.rest
        return parsed.bytes
      }
      const { value, done } = await this.chunks.next()
      if (done === true) return undefined
      this.#pending = this.#pending.length === 0 ? value : Buffer.concat([this.#pending, value])
    }
  }
}

/** Reads the ids and sizes of very many objects, once. */
export class SizeReader extends CatFile {
  constructor(repository: string, env: Record<string, string> = {}) {
    super(repository, ['--batch-check=%(objectname) %(objectsize)', '--buffer'], env)
  }

  /** In bytes and in their order; a name may stand for an id. `onSize` may throw to end it. @throws Error when an object is missing */
  async read<T extends { objectId: string }>(
    wanted: readonly T[],
    onSize: (wanted: T, bytes: number, objectId: string) => void,
  ): Promise<void> {
    this.child.stdin?.end(namesOf(wanted))
    let pending = ''
    let next = 0
    while (next < wanted.length) {
      const { value, done } = await this.chunks.next()
      if (done === true) throw new Error(`git cat-file gave ${next} of ${wanted.length} sizes`)
      const lines = (pending + value.toString('latin1')).split('\n')
      pending = lines.pop() ?? ''
      for (const line of lines) {
        const object = wanted[next]
        const [, objectId = '', bytes] = OBJECT.exec(line) ?? []
        if (object === undefined || bytes === undefined) throw new Error(`git cat-file: ${line.slice(0, 80)}`)
        onSize(object, Number(bytes), objectId)
        next += 1
      }
    }
  }
}

/** Reads a few small objects. @throws Error when one is missing or larger than 2 MiB. */
export async function readObjects<T extends { objectId: string }>(
  repository: string,
  wanted: readonly T[],
  onObject: (wanted: T, bytes: Buffer) => void,
): Promise<void> {
  if (wanted.length === 0) return
  const reader = new ObjectReader(repository)
  try {
    await reader.read(wanted, onObject)
  } finally {
    reader.close()
  }
}

function namesOf(wanted: readonly { objectId: string }[]): string {
  return wanted.map(({ objectId }) => `${objectId}\n`).join('')
}

function takeObject(pending: Buffer): { bytes: Buffer; rest: Buffer } | undefined {
  const newline = pending.indexOf(0x0a)
  if (newline < 0) return undefined
  const header = pending.toString('latin1', 0, newline)
  const size = / (\d+)$/.exec(header)?.[1]
  if (size === undefined || header.endsWith(' missing')) throw new Error(`git cat-file: ${header}`)
  if (Number(size) > MAX_OBJECT_BYTES) throw new Error(`git cat-file: an object of ${size} bytes`)
  const end = newline + 1 + Number(size)
  if (pending.length < end + 1) return undefined
  return { bytes: pending.subarray(newline + 1, end), rest: pending.subarray(end + 1) }
}
