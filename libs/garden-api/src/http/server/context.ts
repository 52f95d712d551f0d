import type { Clock, Logger } from '@croft/kit'
import type { Backend } from '../../backend.js'
import type { Feature } from '../features.js'

/** Called when a call that names a container begins; what it returns is called once when the call has ended. */
export type Hold = (handle: string, call: string) => () => void

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
}
