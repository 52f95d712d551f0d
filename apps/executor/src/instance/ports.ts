import type { Backend, Container } from '@croft/garden-api'
import type { Clock, Logger } from '@croft/kit'
import {
  INSTANCE_PROPERTY,
  OWNER,
  OWNER_PROPERTY,
  type BuildResult,
  type DesiredInstance,
  type InstanceStatus,
  type ServiceSpec,
} from '@croft/protocol'
import type { check } from './health.js'
import type { InstanceRecords } from './instance-record.js'
import type { BuiltImage } from './likely-next.js'
import type { Listener } from './listeners.js'
import type { LogStore } from './log-store.js'

/** Containers of an executor bear these properties; a sweep touches nothing else. */
export { INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY }
export const APP_PROPERTY = 'croft.app'
/** Of the container of a build, whose value nobody asks for. */
export const BUILD_PROPERTY = 'croft.build'

/** What a build is given. */
export interface BuildSurroundings {
  handle: string
  address: string
  /** Told of the image as soon as an instance here could run it. */
  onImage: (built: Omit<BuiltImage, 'appId'>) => void
}

/** What an instance needs of its surroundings. */
export interface InstancePorts {
  backend: Backend
  records: InstanceRecords
  logs: LogStore
  clock: Clock
  random: () => number
  logger: Logger
  /** Divides long waits; 1 outside of tests. */
  timeScale: number
  /** Makes an image ready to be mounted as `croft:<digest>`. */
  ensureImage: (appId: string, digest: string, signal: AbortSignal) => Promise<void>
  /** The instance's address, the same whenever it is asked. */
  addressOf: (id: string) => Promise<string>
  /** Waits for a turn at making a container. */
  turnAtCreating: <T>(task: () => Promise<T>) => Promise<T>
  /** A build has an image on this node: what is likely to follow may be made in advance. */
  onImage: (built: BuiltImage) => void
  /** The container made in advance for an instance that has had none, which is its own from now on as is the address; null: there is none. */
  takeContainer: (
    item: DesiredInstance,
    spec: ServiceSpec,
    signal: AbortSignal,
  ) => Promise<{ container: Container; address: string } | null>
  check: typeof check
  /** What the container of a process (host pid) listens on. */
  listenersOf: (pid: number) => Promise<Listener[]>
  runBuild: (item: DesiredInstance, surroundings: BuildSurroundings, signal: AbortSignal) => Promise<BuildResult>
  /** Something a report must tell has changed. */
  onChange: () => void
}

/** One instance of either kind, as the converge loop sees it. */
export interface NodeInstance {
  readonly item: DesiredInstance
  readonly isStopping: boolean
  status(): InstanceStatus
  /** Handle of the present container, if there is one. */
  readonly handle: string | null
  update(item: DesiredInstance): Promise<void>
  /** Resolves once it is known what is left of an instance of before; its status is true from then on. */
  settled(): Promise<void>
  /** Ends it, within its grace time; resolves when nothing of it is left. After a failure it may be called again. */
  stop(): Promise<void>
  /** Takes over the output there is now. */
  flushLogs(): Promise<void>
  /** Lets go of it without touching its container: the executor ends. */
  detach(): Promise<void>
}
