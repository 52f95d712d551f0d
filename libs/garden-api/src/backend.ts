import type { Readable, Writable } from 'node:stream'
import type {
  Capabilities,
  Capacity,
  ContainerInfo,
  ContainerSpec,
  Metrics,
  ProcessExit,
  ProcessInfo,
  ProcessSpec,
  RecoverReport,
} from './types.js'

/** Where a process's streams go; an absent stream is kept in the process's log ring only. */
export interface ProcessIo {
  stdin?: Readable
  stdout?: Writable
  stderr?: Writable
}

/** A process in a container. It lives on when we lose this object or die. */
export interface Process {
  readonly id: string
  /** Resolves when it has ended and its streams are drained. Never rejects for a non-zero exit. @throws UnrecoverableError */
  wait(signal?: AbortSignal): Promise<ProcessExit>
  /** Signal number, e.g. 15. @throws ProcessNotFoundError when it has ended */
  signal(signal: number): Promise<void>
  resize(columns: number, rows: number): Promise<void>
}

/** A piece of a process's kept output. Offsets are absolute byte positions in that stream since the process started. */
export interface LogChunk {
  stream: 'stdout' | 'stderr'
  offset: number
  data: Buffer
  /** Bytes before `offset` that were overwritten before anybody read them. */
  droppedBytes: number
}

export interface Container {
  readonly handle: string
  /** @throws ContainerNotFoundError */
  info(): Promise<ContainerInfo>
  /** @throws ContainerNotFoundError */
  metrics(): Promise<Metrics>
  /** TERM to every process but the first, then KILL after 10 s; `kill`: KILL at once. The container stays. */
  stop(options?: { kill?: boolean }): Promise<void>
  /** @throws ExecutableNotFoundError, UserNotFoundError, AlreadyInUseError (process id), ContainerPausedError */
  run(spec: ProcessSpec, io?: ProcessIo): Promise<Process>
  /** Joins a running or finished process; output from now on. @throws ProcessNotFoundError */
  attach(processId: string, io?: ProcessIo): Promise<Process>
  processes(): Promise<ProcessInfo[]>
  /** Reads kept output from `fromOffset` (default: what is kept) to the present end. @throws ProcessNotFoundError */
  readLog(processId: string, stream: 'stdout' | 'stderr', fromOffset?: number): Promise<LogChunk>
  /** Unpacks a tar (uncompressed) below `path`, owned by `user`. @throws StreamError, UserNotFoundError */
  streamIn(options: { user: string; path: string; tar: Readable }): Promise<void>
  /** A tar of `path`; with a trailing slash of what lies in it. A failure destroys the stream with StreamError. */
  streamOut(options: { user: string; path: string }): Promise<Readable>
  properties(): Promise<Record<string, string>>
  setProperty(key: string, value: string): Promise<void>
  removeProperty(key: string): Promise<void>
}

export interface ResultOf<T> {
  value?: T
  error?: Error
}

/**
 * The container API: what executors speak and backends implement. Every call has an own deadline; every failure is a
 * GardenError. A backend keeps its containers when its process dies, and takes them up again in `recover`.
 */
export interface Backend {
  /** @throws ServiceUnavailableError */
  ping(): Promise<void>
  capabilities(): Promise<Capabilities>
  capacity(): Promise<Capacity>
  /** Adopts what is alive, finishes or undoes what is half-made; call it once, before anything else. */
  recover(): Promise<RecoverReport>
  /** @throws InvalidSpecError, AlreadyInUseError (handle, address, port), ImageError, ServiceUnavailableError */
  create(spec: ContainerSpec, signal?: AbortSignal): Promise<Container>
  /** @throws ContainerNotFoundError */
  lookup(handle: string): Promise<Container>
  /** Containers whose properties contain all of `properties`. */
  containers(properties?: Record<string, string>): Promise<Container[]>
  /** Joins a destroy in progress. @throws ContainerNotFoundError unless `ifExists` */
  destroy(handle: string, options?: { ifExists?: boolean }): Promise<void>
  bulkInfo(handles: readonly string[]): Promise<Map<string, ResultOf<ContainerInfo>>>
  bulkMetrics(handles: readonly string[]): Promise<Map<string, ResultOf<Metrics>>>
  /** Lets go of sockets and timers; containers run on. */
  close(): Promise<void>
}

/** Turns an image reference into what a root file system is mounted from. Implemented by whoever keeps images. */
export interface ImageResolver {
  /** @throws ImageError */
  resolve(uri: string): Promise<ResolvedImage>
}

export interface ResolvedImage {
  /** Directories, uppermost first, holding the image's own ids; never changed while in use. */
  lowerPaths: string[]
  /** The image's environment, `K=V`; the container's own env wins. */
  env: string[]
}
