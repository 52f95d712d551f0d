import { createHash } from 'node:crypto'
import { closeSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { backoffMs, messageOf, start, waitFor, type Clock, type Logger } from '@croft/kit'
import { identityOf, type Component, type ComponentName } from './component.js'
import { runAs } from './launch-vector.js'
import { untilClosed } from './lifeline.js'
import { readPidFile, writePidFile } from './pid-file.js'
import { isAlive, processRef, signalProcess, type ProcessRef } from './process-ref.js'

/** From the second restart on; the first is at once. */
const RESTART = { baseMs: 100, maxMs: 30_000, jitter: 0.2 }
/** A component that ran this long starts its back-off anew. */
const STEADY_MS = 60_000
/** How often an adopted process, which is no child of ours, is looked at: without and with a lifeline. */
const ADOPTED_LOOK_MS = 200
const LIFELINE_LOOK_MS = 5_000
/** A process whose sockets are closed is gone this much later. */
const DYING_MS = 10
const READY_LOOK_MS = 15

export type ComponentState = 'starting' | 'running' | 'backoff' | 'stopped'

export interface ComponentView {
  name: ComponentName
  state: ComponentState
  pid: number | null
  startTime: string | null
  restarts: number
}

interface Supervised {
  component: Component
  state: ComponentState
  process: ProcessRef | undefined
  restarts: number
  isReady: boolean
}

export interface SupervisorPorts {
  clock: Clock
  logger: Logger
  random: () => number
  /** Folder of the pid files. */
  pids: string
  /** Opens the log a component writes to; the supervisor closes it. */
  openLog(name: ComponentName): number
  /** Called whenever what `view` answers has changed. */
  onChange(): void
}

/**
 * Keeps the components of one home running: starts each when what it needs is there, adopts those an earlier supervisor left,
 * restarts with back-off what ends, and stops all of it in order.
 *
 * A component is `starting` until its readiness check holds, then `running`; when its process ends it is in `backoff` until the
 * next start; `stopped` after `stop`.
 */
export class Supervisor {
  readonly #all: Supervised[]
  readonly #ports: SupervisorPorts
  readonly #stopping = new AbortController()
  #loops: Promise<void>[] = []

  constructor(components: readonly Component[], ports: SupervisorPorts) {
    this.#ports = ports
    this.#all = components.map((component) => ({
      component,
      state: 'starting',
      process: undefined,
      restarts: 0,
      isReady: false,
    }))
  }

  /** Begins to keep everything running. */
  start(): void {
    this.#loops = this.#all.map((one) =>
      this.#keepRunning(one).catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) {
          this.#ports.logger.error('supervision-failed', { name: one.component.name, error: messageOf(error) })
        }
      }),
    )
  }

  get view(): ComponentView[] {
    return this.#all.map(({ component, state, process, restarts }) => ({
      name: component.name,
      state,
      pid: process?.pid ?? null,
      startTime: process?.startTime ?? null,
      restarts,
    }))
  }

  get isReady(): boolean {
    return this.#all.every((one) => one.isReady)
  }

  /** Ends the components that do not stay, the dependents first; returns when all are gone. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the supervisor stops'))
    const left = new Set(this.#all.filter((one) => !one.component.staysWhenStopped))
    while (left.size > 0) {
      const needed = new Set([...left].flatMap((one) => one.component.after))
      const free = [...left].filter((one) => !needed.has(one.component.name))
      await Promise.all(free.map((one) => this.#end(one)))
      for (const one of free) left.delete(one)
    }
    await Promise.all(this.#loops)
  }

  async #keepRunning(one: Supervised): Promise<void> {
    const { clock, logger } = this.#ports
    const signal = this.#stopping.signal
    const { name } = one.component
    let attempt = 0
    for (;;) {
      await this.#untilNeedsAreThere(one, signal)
      const since = clock.monotonic()
      const { ended } = await this.#adoptOrStart(one, signal)
      this.#change(one, { state: 'starting' })
      const over = new AbortController()
      const ready = this.#watchReadiness(one, AbortSignal.any([signal, over.signal]))
      const how = await Promise.race([ended, aborted(signal)])
      over.abort()
      await ready
      if (signal.aborted) return // `stop` ends it, or it stays
      this.#change(one, { state: 'backoff', process: undefined, isReady: false })
      if (clock.monotonic() - since > STEADY_MS) attempt = 0
      const delayMs = attempt === 0 ? 0 : backoffMs(attempt - 1, RESTART, this.#ports.random())
      attempt += 1
      one.restarts += 1
      logger.warn('component-ended', { name, how, restarts: one.restarts, delayMs })
      this.#ports.onChange()
      await clock.sleep(delayMs, signal)
    }
  }

  async #untilNeedsAreThere(one: Supervised, signal: AbortSignal): Promise<void> {
    const { component } = one
    for (;;) {
      signal.throwIfAborted()
      const others = this.#all.filter((other) => component.after.includes(other.component.name))
      if (others.every((other) => other.isReady) && (component.needs ?? []).every((file) => existsSync(file))) return
      await this.#ports.clock.sleep(READY_LOOK_MS, signal)
    }
  }

  /** Takes over a process of an earlier supervisor or starts one; `ended` says how it ended. */
  async #adoptOrStart(one: Supervised, signal: AbortSignal): Promise<{ ended: Promise<string> }> {
    const { component } = one
    const identity = createHash('sha256').update(identityOf(component)).digest('hex')
    const file = join(this.#ports.pids, `${component.name}.json`)
    const leftover = readPidFile(file)
    if (leftover !== undefined && isAlive(leftover)) {
      if (leftover.identity === identity) {
        one.process = { pid: leftover.pid, startTime: leftover.startTime }
        this.#ports.logger.info('component-adopted', { name: component.name, pid: leftover.pid })
        return { ended: this.#untilAdoptedEnds(one.process, component.lifeline) }
      }
      this.#ports.logger.info('component-replaced', { name: component.name, pid: leftover.pid })
      await endProcess(leftover, component, this.#ports.clock)
    }
    await component.prepare?.()
    const groups = await this.#groupsOf(component)
    signal.throwIfAborted()
    return { ended: this.#spawn(one, groups, file, identity) }
  }

  /** A component without its cgroup does its work, if perhaps not as soon. */
  async #groupsOf(component: Component): Promise<string[]> {
    try {
      return (await component.groups?.()) ?? []
    } catch (error) {
      this.#ports.logger.warn('component-without-cgroup', { name: component.name, why: messageOf(error) })
      return []
    }
  }

  #spawn(one: Supervised, groups: readonly string[], file: string, identity: string): Promise<string> {
    const { component } = one
    const vector =
      component.user === undefined
        ? { command: component.command, args: component.args }
        : runAs(component.user, component.command, component.args, component.capabilities)
    const log = this.#ports.openLog(component.name)
    const child = start(vector.command, vector.args, {
      cwd: '/',
      env: component.env,
      stdio: ['ignore', log, log],
      detached: true,
    })
    closeSync(log)
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `killed by ${signal}`))
    })
    one.process = child.pid === undefined ? undefined : processRef(child.pid)
    if (one.process !== undefined) {
      this.#join(groups, one.process, component.name) // at once: what it starts itself is in them too
      writePidFile(file, { ...one.process, identity })
      this.#ports.logger.info('component-started', { name: component.name, pid: one.process.pid })
    }
    return ended
  }

  #join(groups: readonly string[], { pid }: ProcessRef, name: ComponentName): void {
    try {
      for (const group of groups) writeFileSync(join(group, 'cgroup.procs'), String(pid))
    } catch (error) {
      this.#ports.logger.warn('component-without-cgroup', { name, why: messageOf(error) })
    }
  }

  async #untilAdoptedEnds(ref: ProcessRef, lifeline: string | undefined): Promise<string> {
    const signal = this.#stopping.signal
    const pause = (ms: number, over: AbortSignal = signal): Promise<void> => this.#ports.clock.sleep(ms, over)
    try {
      while (isAlive(ref)) {
        if (lifeline === undefined) await pause(ADOPTED_LOOK_MS)
        else {
          const look = new AbortController()
          const over = AbortSignal.any([signal, look.signal])
          await Promise.race([untilClosed(lifeline, over), pause(LIFELINE_LOOK_MS, over)]).finally(() => look.abort())
          if (isAlive(ref)) await pause(DYING_MS)
        }
      }
      return 'gone'
    } catch (error) {
      if (signal.aborted) return 'stopped'
      throw error
    }
  }

  async #watchReadiness(one: Supervised, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        if (await one.component.isReady().catch(() => false)) {
          if (!signal.aborted) this.#change(one, { state: 'running', isReady: true })
          return
        }
        await this.#ports.clock.sleep(READY_LOOK_MS, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async #end(one: Supervised): Promise<void> {
    const { component } = one
    const file = join(this.#ports.pids, `${component.name}.json`)
    const ref = one.process ?? readPidFile(file)
    if (ref !== undefined) await endProcess(ref, component, this.#ports.clock)
    rmSync(file, { force: true })
    this.#change(one, { state: 'stopped', process: undefined, isReady: false })
  }

  #change(one: Supervised, change: Partial<Supervised>): void {
    Object.assign(one, change)
    this.#ports.onChange()
  }
}

function aborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('stopped')
    else signal.addEventListener('abort', () => resolve('stopped'), { once: true })
  })
}

/** Asks a process to end, then makes it; resolves when it is gone. */
export async function endProcess(
  ref: ProcessRef,
  how: { stopSignal: NodeJS.Signals; stopTimeoutMs: number },
  clock: Clock,
): Promise<void> {
  if (!signalProcess(ref, how.stopSignal)) return
  const isGone = (): boolean => !isAlive(ref)
  try {
    await waitFor(isGone, { what: `process ${ref.pid} to end`, timeoutMs: how.stopTimeoutMs, everyMs: 10, clock })
  } catch {
    signalProcess(ref, 'SIGKILL')
    await waitFor(isGone, { what: `process ${ref.pid} to die`, timeoutMs: 5_000, everyMs: 10, clock })
  }
}
