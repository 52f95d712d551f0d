import { createHash } from 'node:crypto'
import { messageOf, type Clock, type Logger } from '@croft/kit'
import type { InstanceStatus, NodeReport } from '@croft/protocol'
import { isNodeUnknown } from './controller-client.js'

/** A report renews the node's lease, changed or not. */
const EVERY_MS = 1_000
/** However short leases are in a test. */
const MIN_EVERY_MS = 20
/** Figures are sent along at least this often. */
const FIGURES_EVERY_MS = 5_000
/** Changes that come together are reported together. */
const GATHER_MS = 3

export interface ReporterOptions {
  bootId: string
  statuses: () => InstanceStatus[]
  capacity: () => Promise<NodeReport['capacity']>
  applied: () => { epoch: string | null; revision: number }
  send: (report: NodeReport, signal: AbortSignal) => Promise<'taken' | 'send-full'>
  /** The controller does not know this node. */
  onUnknown: () => void
  clock: Clock
  logger: Logger
  /** Divides the interval, as it does the lease. */
  timeScale: number
}

/** Tells the controller how the node is: every second, and at once when something changed. */
export class StatusReporter {
  readonly #options: ReporterOptions
  #wake: (() => void) | undefined
  #isDirty = false

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  /** Something changed: report soon. */
  notify(): void {
    this.#isDirty = true
    this.#wake?.()
  }

  /** Reports until `signal` aborts. A report that fails is sent again with the next. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, timeScale } = this.#options
    const everyMs = Math.max(MIN_EVERY_MS, EVERY_MS / timeScale)
    let sentHash: string | undefined
    let figuresAt = 0
    let isFailing = false
    while (!signal.aborted) {
      this.#isDirty = false
      try {
        const isDue = clock.monotonic() - figuresAt >= FIGURES_EVERY_MS
        const report = await this.#report()
        const isFull = report.statusHash !== sentHash || isDue
        const answer = await this.#options.send(isFull ? report : without(report), signal)
        sentHash = answer === 'taken' ? report.statusHash : undefined
        if (isFull && answer === 'taken') figuresAt = clock.monotonic()
        if (isFailing) logger.info('reports-taken-again')
        isFailing = false
        if (answer === 'send-full' && !isFull) continue
      } catch (error) {
        if (signal.aborted) return
        if (!isFailing) logger.warn('report-failed', { why: messageOf(error) })
        isFailing = true
        sentHash = undefined
        if (isNodeUnknown(error)) this.#options.onUnknown()
      }
      await this.#pause(isFailing ? everyMs / 4 : everyMs, signal)
    }
  }

  async #report(): Promise<NodeReport> {
    const { bootId, statuses, capacity, applied } = this.#options
    const all = statuses()
    const { epoch, revision } = applied()
    return {
      bootId,
      epoch,
      appliedRevision: revision,
      capacity: await capacity(),
      statusHash: hashOf(all),
      statuses: all,
    }
  }

  /** Waits for a change, or for the next turn. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    if (!this.#isDirty) {
      const woken = new AbortController()
      this.#wake = () => woken.abort()
      await clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
      this.#wake = undefined
    }
    if (this.#isDirty && !signal.aborted) await clock.sleep(GATHER_MS, signal).catch(() => undefined)
  }
}

/** A hash over everything but the figures, which change all the time. Pure. */
export function hashOf(statuses: readonly InstanceStatus[]): string {
  const stable = statuses
    .map((status) => ({ ...status, cpuMillis: 0, memoryBytes: 0 }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(stable)).digest('hex')
}

function without({ statuses: _statuses, ...report }: NodeReport): NodeReport {
  return report
}
