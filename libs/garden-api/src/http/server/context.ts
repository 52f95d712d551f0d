import type { Clock, Logger } from '@croft/kit'
import type { Backend } from '../../backend.js'
import type { Feature } from '../features.js'
import type { Turns } from './idempotency.js'
import type { Recent } from './recent.js'
import type { StreamTable } from './streams/stream-table.js'

/** Called when a call that names a container begins; what it returns is called once when the call has ended. */
export type Hold = (handle: string, call: string) => () => void

export interface Streaming {
  /** How long a process stands still because nobody came for its output, before the output is dropped and counted. */
  patienceMs: number
  /** How long a process's streams may stay silent after its end, when something else still holds them open. */
  drainMs: number
}

/** What every call of a server shares. */
export interface ServerContext {
  readonly backend: Backend
  readonly logger: Logger
  readonly clock: Clock
  readonly maxBodyBytes: number
  readonly features: readonly Feature[]
  readonly hold: Hold | undefined
  /** Aborted when the server closes: streams end. */
  readonly closing: AbortSignal
  readonly streams: StreamTable
  readonly streaming: Streaming
  readonly turns: Turns
  /** What a run's idempotency key stood for. */
  readonly runs: Recent<string>
}
