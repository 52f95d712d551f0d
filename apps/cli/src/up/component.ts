import type { ComponentUser } from './launch-vector.js'

/** The processes of a platform, as `status` names them. */
export const COMPONENTS = ['postgres', 'redis', 'controller', 'executor', 'router', 'haproxy'] as const
export type ComponentName = (typeof COMPONENTS)[number]

/** How one component is started, known to be ready, and ended. */
export interface Component {
  name: ComponentName
  /** Root when undefined. */
  user?: ComponentUser
  command: string
  args: string[]
  env: Record<string, string>
  /** Ambient capabilities, e.g. `net_bind_service`. */
  capabilities?: string[]
  /** It is started when these are ready. */
  after: ComponentName[]
  /** It is started when these files exist. */
  needs?: string[]
  /** Cgroups it joins when it is started, as directories. */
  groups?(): Promise<string[]>
  /** Done each time before it is started; not when a running one is taken over. */
  prepare?(): Promise<void>
  /** Whether it does its work; called every few milliseconds until it is true. */
  isReady(): Promise<boolean>
  /** A unix socket on which it keeps an idle connection for as long as it lives: the death of one that was taken over shows at once. */
  lifeline?: string
  stopSignal: NodeJS.Signals
  /** It is killed when it still runs this long after the signal. */
  stopTimeoutMs: number
  /** It outlives the supervisor, so that apps keep serving. */
  staysWhenStopped: boolean
}

/** What of a component must be the same for a running process of it to be kept: where and as what it was started. */
export function identityOf(component: Component): string {
  return JSON.stringify([
    component.user ?? 'root',
    component.command,
    component.args,
    Object.entries(component.env).sort(([a], [b]) => a.localeCompare(b)),
  ])
}
