import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { errnoOf, run as runProcess, waitFor, type Clock, type Logger } from '@croft/kit'
import { haproxyLaunch, routerFolder } from '@croft/protocol'
import { reconcile } from './reconcile.js'
import { render, type Files, type RenderConfig } from './render.js'
import { applyChanges, HaproxyAway, observe, parseSessions, runOne, type Observation } from './runtime.js'
import type { HaproxyState } from './state.js'

const CHECK_TIMEOUT_MS = 20_000
const RELOAD_TIMEOUT_MS = 10_000
const RELOAD_POLL_MS = 20

/**
 * The one HAProxy of this run directory, which somebody else starts (see `haproxyLaunch`) and which may outlive this process. Its
 * files always hold what it serves, so that it comes back with the same table whoever starts it again.
 */
export class Haproxy {
  readonly #config: RenderConfig
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #launch
  readonly #folder: string
  /** What lies on disk, as far as known. */
  #written: Files = new Map()
  /** Of the files on disk, when they say what HAProxy was last made to serve. */
  #hash: string | null = null

  constructor(options: { config: RenderConfig; clock: Clock; logger: Logger }) {
    this.#config = options.config
    this.#clock = options.clock
    this.#logger = options.logger
    this.#launch = haproxyLaunch(options.config.run)
    this.#folder = routerFolder(options.config.run)
  }

  /** What it serves now. @throws HaproxyAway when it does not run (yet). */
  async observe(): Promise<Observation> {
    return observe(this.#launch.statsSocket, this.#config.run)
  }

  /** Writes the files of a state for the next start, without touching a running process. */
  async prepare(state: HaproxyState): Promise<void> {
    this.#hash = null
    await this.#write(render(this.#config, state).files)
  }

  /**
   * Makes the observed process serve `desired`: by runtime commands, or by a reload when its configuration differs in more than
   * addresses, weights, states and maps.
   * @throws HaproxyAway, CommandRefused, CommandFailed (our configuration is refused).
   */
  async converge(observed: Observation, desired: HaproxyState): Promise<void> {
    const plan = reconcile(observed.state, desired)
    if (plan.kind === 'changes' && plan.changes.length === 0 && observed.hash === this.#hash) return
    const rendered = render(this.#config, desired)
    if (plan.kind === 'reload' || observed.hash !== rendered.hash) {
      await this.#reload(rendered.files, rendered.hash, observed.pid)
      return
    }
    await applyChanges(this.#launch.statsSocket, this.#config.run, plan.changes)
    if (plan.changes.length > 0) this.#logger.info('haproxy-changed', { changes: plan.changes.length })
    await this.#write(rendered.files)
    this.#hash = rendered.hash
  }

  /**
   * Requests in flight by address, over the worker and those that a reload replaced and that still end their requests.
   * @throws HaproxyAway.
   */
  async sessions(): Promise<Map<string, number>> {
    const stats = [await runOne(this.#launch.statsSocket, 'show stat -1 4 -1')]
    for (const pid of await this.#leavingWorkers()) {
      stats.push(await runOne(this.#launch.masterSocket, `@!${pid} show stat -1 4 -1`))
    }
    const sum = new Map<string, number>()
    for (const [address, count] of stats.flatMap((text) => [...parseSessions(text)])) {
      sum.set(address, (sum.get(address) ?? 0) + count)
    }
    return sum
  }

  async #leavingWorkers(): Promise<number[]> {
    const processes = await runOne(this.#launch.masterSocket, 'show proc')
    const old = processes.split('# old workers')[1]?.split('# programs')[0] ?? ''
    return [...old.matchAll(/^(\d+)\s+worker/gm)].map((match) => Number(match[1]))
  }

  async #reload(files: Files, hash: string, pid: number): Promise<void> {
    const started = this.#clock.monotonic()
    await this.#check(files)
    this.#hash = null
    await this.#write(files)
    await runOne(this.#launch.masterSocket, 'reload')
    await waitFor(
      async () => {
        const now = await this.observe()
        return now.hash === hash && now.pid !== pid
      },
      {
        what: 'the reloaded HAProxy',
        timeoutMs: RELOAD_TIMEOUT_MS,
        everyMs: RELOAD_POLL_MS,
        clock: this.#clock,
      },
    )
    this.#logger.info('haproxy-reloaded', { hash, tookMs: Math.round(this.#clock.monotonic() - started) })
  }

  /** Lets HAProxy itself judge the configuration before it replaces the one that works. */
  async #check(files: Files): Promise<void> {
    const text = files.get('haproxy.cfg') ?? ''
    const candidate = `${this.#folder}/haproxy.cfg.new`
    await writeFile(candidate, text, { mode: 0o644 })
    await runProcess(this.#launch.command, ['-c', '-q', '-f', candidate], { timeoutMs: CHECK_TIMEOUT_MS })
  }

  async #write(files: Files): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o750 })
    for (const [name, text] of files) {
      const path = `${this.#folder}/${name}`
      if ((this.#written.get(name) ?? (await textOf(path))) === text) {
        this.#written.set(name, text)
        continue
      }
      await writeFile(`${path}.new`, text, { mode: 0o644 })
      await rename(`${path}.new`, path)
      this.#written.set(name, text)
    }
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}

/** Whether a failure only says that HAProxy does not run at the moment. */
export function isAway(error: unknown): boolean {
  return error instanceof HaproxyAway
}
