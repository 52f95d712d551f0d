import { constants, open as openDescriptor } from 'node:fs'
import { open, mkdir, readdir, rm, type FileHandle } from 'node:fs/promises'
import { Socket } from 'node:net'
import { promisify } from 'node:util'
import { run } from '@croft/kit'

/** What a hook asks: its name, its argument, and the lines git gave it. */
export interface HookQuestion {
  hook: 'pre-receive' | 'update' | 'committed'
  /** `pre-receive`: the quarantine folder. `committed`: `synced` when what was written before survives a power cut. */
  argument: string
  lines: string[]
}

/** Opening neither waits for the other end, nor does the fifo end while we hold it. */
const BOTH_ENDS = constants.O_RDWR | constants.O_NONBLOCK

/** Longest question, bytes: 2,000 refs and their names. */
const MAX_QUESTION_BYTES = 2 * 1024 * 1024

/**
 * Two fifos in a folder of one push. The controller holds both open, so that a hook never waits in `open`; when the controller
 * dies they close, and the hook that waits for an answer reads an end and refuses.
 */
export class HookChannel {
  #buffer = ''
  #isAnswering = false

  private constructor(
    readonly folder: string,
    private readonly ask: Socket,
    private readonly answer: FileHandle,
  ) {}

  /** Makes the folder and the fifos and answers every question through `answer`, one at a time. */
  static async open(folder: string, answer: (question: HookQuestion) => Promise<boolean>): Promise<HookChannel> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const [asking, answering] = [`${folder}/ask`, `${folder}/answer`]
    await run('mkfifo', ['-m', '600', '--', asking, answering], { timeoutMs: 5_000 })
    const asked = await promisify(openDescriptor)(asking, BOTH_ENDS) // the socket owns and closes it
    const answered = await open(answering, BOTH_ENDS)
    const socket = new Socket({ fd: asked, readable: true, writable: false })
    const channel = new HookChannel(folder, socket, answered)
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      channel.#buffer += chunk.toString('utf8')
      channel.#next(answer)
    })
    return channel
  }

  /** Removes the fifos; a hook that still waits is refused. */
  async close(): Promise<void> {
    this.ask.destroy()
    await rm(this.folder, { recursive: true, force: true })
    await this.answer.close()
  }

  /**
   * Answers the question that has come, if a whole one has, and then one that came meanwhile: git may start its next hook before we
   * hear that the answer to the last one was written.
   */
  #next(answer: (question: HookQuestion) => Promise<boolean>): void {
    if (this.#isAnswering || (!this.#buffer.endsWith('\n.\n') && this.#buffer.length < MAX_QUESTION_BYTES)) return
    const [first = '', ...lines] = this.#buffer.slice(0, -3).split('\n')
    this.#buffer = ''
    const [hook = '', ...argument] = first.split(' ')
    this.#isAnswering = true
    answer({ hook: hook as HookQuestion['hook'], argument: argument.join(' '), lines })
      .then(
        (isYes) => this.#say(isYes),
        () => this.#say(false),
      )
      .finally(() => {
        this.#isAnswering = false
        this.#next(answer)
      })
      .catch(() => undefined) // the hook is gone
  }

  async #say(isYes: boolean): Promise<void> {
    await this.answer.write(isYes ? 'yes\n' : 'no\n')
  }
}

/** Frees the hooks of a controller that died: each reads an end and refuses its ref. */
export async function closeLeftChannels(root: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 })
  for (const name of await readdir(root)) {
    const held = await Promise.allSettled(['ask', 'answer'].map((fifo) => open(`${root}/${name}/${fifo}`, BOTH_ENDS)))
    await rm(`${root}/${name}`, { recursive: true, force: true })
    for (const handle of held) if (handle.status === 'fulfilled') await handle.value.close()
  }
}
