import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start, waitFor } from '@croft/kit'
import { checkout } from './platform.js'

/** Arguments that follow: a folder, and the command that finds it in place of the first folder of every path of ours. */
const IN_OWN_MOUNTS = [
  '/usr/bin/unshare',
  '--mount',
  '--propagation',
  'private',
  '/bin/sh',
  '-ec',
  'mount --bind "$1" /usr/local/sbin; shift; exec "$@"',
  'in-own-mounts',
]

/** A controller as a process of its own, that can be killed and started again. */
export class ControllerProcess {
  #child: ChildProcess | undefined

  /** @param log the file that gets all it says @param answers whether it serves */
  constructor(
    private readonly env: Record<string, string>,
    private readonly log: string,
    private readonly answers: () => Promise<boolean>,
  ) {}

  /**
   * Starts it; with a failpoint it dies there. With `localTools`, a folder, the programs in it go before the host's of the same
   * name, for this process only. Throws with what it said when it ends before it serves.
   */
  async boot(failpoint?: string, localTools?: string): Promise<void> {
    const main = [process.execPath, join(checkout, 'apps/controller/dist/controller.mjs')]
    const [program = '', ...args] = localTools === undefined ? main : [...IN_OWN_MOUNTS, localTools, ...main]
    const env = { ...this.env, ...(failpoint !== undefined && { CROFT_FAILPOINT: failpoint }) }
    const child = start(program, args, { env })
    this.#child = child
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        writeFileSync(this.log, chunk, { flag: 'a' })
      })
    }
    await waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(said)
        return await this.answers()
      },
      { what: 'the controller', timeoutMs: 20_000, everyMs: 50 },
    )
  }

  /** Ends it as a death would. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.dead()
  }

  /** Asks it to stop, and gives its exit code. */
  async stop(): Promise<number | null> {
    this.#child?.kill('SIGTERM')
    await this.dead()
    return this.#child?.exitCode ?? null
  }

  /** Resolves when it is dead, of whatever. */
  async dead(): Promise<void> {
    const child = this.#child
    await waitFor(() => child === undefined || child.exitCode !== null || child.signalCode !== null, {
      what: 'the controller to die',
      timeoutMs: 20_000,
    })
  }

  get isAlive(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }
}
